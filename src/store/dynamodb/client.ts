import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { DynamoDBClient, type DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';
import { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import { fromEnv } from '@aws-sdk/credential-provider-env';
import { fromIni } from '@aws-sdk/credential-provider-ini';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { ClockCheck } from './clock-check.ts';
import { CALL_BUDGET_MS } from './deadline.ts';

export interface Connection {
  /** Absent: AWS. */
  readonly endpoint?: string;
  readonly region: string;
}

const CONNECTION_TIMEOUT_MS = 500;

/** Sockets are opened when they are needed. There are more than requests may be under way (`calls.ts`), so none waits for one. */
export const MAX_SOCKETS = 512;

/**
 * The client retries nothing: a batch put must not be sent twice, and all other calls have one deadline over all tries.
 */
export function createClient(
  { endpoint, region }: Connection,
  callBudgetMs: number = CALL_BUDGET_MS,
  clockCheck?: ClockCheck,
): DynamoDBDocumentClient {
  const agent = { keepAlive: true, maxSockets: MAX_SOCKETS };
  const client = new DynamoDBClient({
    region,
    maxAttempts: 1,
    logger: LOGGER,
    requestHandler: new NodeHttpHandler({
      httpAgent: new HttpAgent(agent),
      httpsAgent: new HttpsAgent(agent),
      connectionTimeout: CONNECTION_TIMEOUT_MS,
      // One try must leave time for a second one.
      requestTimeout: callBudgetMs / 2,
      // Without this the handler only warns.
      throwOnRequestTimeout: true,
    }),
    ...(endpoint === undefined ? {} : { endpoint, credentials: localCredentials }),
  });
  if (clockCheck !== undefined) watchClock(client, clockCheck);
  return DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
}

/** Looks at answers next to the wire, so that answers that are errors count as well. */
function watchClock(client: DynamoDBClient, clockCheck: ClockCheck): void {
  client.middlewareStack.add(
    (next) => async (args) => {
      const sentAt = clockCheck.read();
      const result = await next(args);
      const { headers } = result.response as { readonly headers: Readonly<Record<string, string>> };
      clockCheck.answered(headers['date'], sentAt);
      return result;
    },
    { name: 'clockCheck', step: 'deserialize', priority: 'low' },
  );
}

/**
 * The parts of the default chain that need only this machine, then `test`/`test`, which emulators accept. The rest of the chain
 * asks the instance metadata service, and outside AWS it takes a second to find out that there is none.
 */
async function localCredentials() {
  return await fromEnv()()
    .catch(() => fromIni()())
    .catch(() => ({ accessKeyId: 'test', secretAccessKey: 'test' }));
}

/**
 * It has no `info`, although the type demands it: if there is one, even the SDK's own that does nothing, the SDK copies each
 * request and answer for it, member by member. It also ignores errors: for each failed request the SDK would print the whole
 * input with its payload, which would fill the disk during a brown-out. The caller reports the error. Warnings go to the console,
 * as they do without a logger.
 */
const LOGGER = {
  debug: () => undefined,
  warn: (...message: unknown[]) => {
    console.warn(...message);
  },
  error: () => undefined,
} as unknown as NonNullable<DynamoDBClientConfig['logger']>;
