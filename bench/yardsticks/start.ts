import { randomUUID } from 'node:crypto';
import { LOADER, startServer } from '../harness/process.ts';
import type { Target } from '../load/job.ts';

export interface Yardstick extends Target {
  stop(): Promise<void>;
}

/** A bare uWebSockets.js. @param args `--lmdb`: with the bare LMDB writes of an event. */
export async function startFloor(args: readonly string[] = []): Promise<Yardstick> {
  const script = [LOADER, 'bench/yardsticks/floor.ts', ...args];
  return { key: 'none', ...(await startServer(script, { place: 'server' })) };
}

/** The plain design on a DynamoDB. @param args `--no-bcrypt`: without the hash on each request. */
export async function startPlain(endpoint: string, args: readonly string[] = []): Promise<Yardstick> {
  const key = randomUUID();
  const env = { DYNAMODB_ENDPOINT_URL: endpoint, TABLE: `bench-plain-${randomUUID()}`, API_KEY: key };
  const script = [LOADER, 'bench/yardsticks/plain.ts', ...args];
  return { key, ...(await startServer(script, { place: 'any', env })) };
}
