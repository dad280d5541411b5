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

/** Opened as they are needed. More than all requests that may be under way (`store.ts`): none waits for a socket. */
export const MAX_SOCKETS = 512;

/**
 * Nothing is retried here: a batch put must not be sent twice, and the other calls have one deadline over all tries.
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
      // A single try leaves time for a second one.
      requestTimeout: callBudgetMs / 2,
      // Without it the handler only warns.
      throwOnRequestTimeout: true,
    }),
    ...(endpoint === undefined ? {} : { endpoint, credentials: localCredentials }),
  });
  if (clockCheck !== undefined) watchClock(client, clockCheck);
  return DynamoDBDocumentClient.from(client, { marshallOptions: { removeUndefinedValues: true } });
}

/** Next to the wire, so that answers that are errors count too. */
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
 * Of the default chain what lies on this machine; then `test`/`test`, which emulators take. The rest of the chain asks
 * the instance metadata service, which away from AWS costs a second to learn that nobody is there.
 */
async function localCredentials() {
  return await fromEnv()()
    .catch(() => fromIni()())
    .catch(() => ({ accessKeyId: 'test', secretAccessKey: 'test' }));
}

/**
 * Without `info`, whatever its type says: where there is one, be it the SDK's own that does nothing, each request and answer is
 * copied for it, member by member. Nor does it take errors: of each request that fails the SDK would print the whole input, a
 * payload too, and a brown-out fills the disk with that. Whoever made the request reports it. Warnings go to the console, as
 * without a logger.
 */
const LOGGER = {
  debug: () => undefined,
  warn: (...message: unknown[]) => {
    console.warn(...message);
  },
  error: () => undefined,
} as unknown as NonNullable<DynamoDBClientConfig['logger']>;
