import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { delimiter, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

/** A DynamoDB Local that runs as a child process, in memory, one database for all regions and keys. */
export interface DynamoDbLocal {
  readonly endpoint: string;
  /** Resolves when it has ended. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

const POM = fileURLToPath(new URL('dynamodb-local.pom.xml', import.meta.url));
const CACHE = resolve('node_modules/.cache/dynamodb-local');
const START_MS = 30_000;

/**
 * Fetches DynamoDB Local from Maven Central, the first time, and starts it.
 *
 * @param port absent: a free one.
 * @throws an `Error` that says what is missing: Maven, Java, or the way to Maven Central.
 */
export async function startDynamoDbLocal(port?: number): Promise<DynamoDbLocal> {
  const jars = await fetchJars();
  const chosen = port ?? (await freePort());
  const child = spawn(
    'java',
    [
      `-Djava.library.path=${jars}`,
      ...[
        '-cp',
        [join(jars, '*')].join(delimiter),
        'com.amazonaws.services.dynamodbv2.local.main.ServerRunner',
      ],
      ...['-port', String(chosen), '-inMemory', '-sharedDb', '-disableTelemetry'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const output: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()));
  const ended = new Promise<void>((resolve) => {
    child.on('close', () => {
      resolve();
    });
    child.on('error', (error) => {
      output.push(`cannot start java (17 or newer): ${error.message}`);
      resolve();
    });
  });
  const endpoint = `http://127.0.0.1:${String(chosen)}`;
  await answering(endpoint, child, ended).catch((error: unknown) => {
    child.kill();
    throw new Error(`DynamoDB Local did not start:\n${output.join('')}`, { cause: error });
  });
  return { endpoint, ended, stop: () => stop(child, ended) };
}

/** The folder with the jars and the native libraries. */
async function fetchJars(): Promise<string> {
  const version = createHash('sha256')
    .update(await readFile(POM))
    .digest('hex')
    .slice(0, 12);
  const folder = join(CACHE, version);
  if (existsSync(folder)) return folder;
  await mkdir(CACHE, { recursive: true });
  // Two runs may fetch at once; each brings a whole folder into place.
  const fresh = join(CACHE, `fetching-${randomUUID()}`);
  const goal = ['dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${fresh}`];
  try {
    await promisify(execFile)('mvn', ['-q', '-B', '-f', POM, ...goal]);
    await rename(fresh, folder);
  } catch (error) {
    await rm(fresh, { recursive: true, force: true });
    if (!existsSync(folder)) throw new Error(`Maven could not fetch DynamoDB Local`, { cause: error });
  }
  return folder;
}

async function answering(endpoint: string, child: ChildProcess, ended: Promise<void>): Promise<void> {
  const started = performance.now();
  while (performance.now() - started < START_MS) {
    // Any answer will do; without a signature it is a 400.
    if (
      await fetch(endpoint).then(
        () => child.exitCode === null,
        () => false,
      )
    )
      return;
    const over = await Promise.race([ended.then(() => true), sleep(100, false)]);
    if (over) throw new Error('the process ended');
  }
  throw new Error(`no answer within ${String(START_MS)} ms`);
}

async function stop(child: ChildProcess, ended: Promise<void>): Promise<void> {
  child.kill();
  await ended;
}
