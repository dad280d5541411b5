import {
  CorruptEventError,
  CorruptKeyError,
  InvalidPositionError,
  StoreOverloadedError,
  StoreUnavailableError,
} from '../store-errors.ts';

/**
 * What an error of the SDK says about the request. `throttled`: it was not carried out, but may be later. `unsent`: there was no
 * connection, so it was not carried out either. `refused`: it was not carried out, and never will be. `unclear`: there was no
 * answer, or a 5xx; it may have been carried out.
 */
export type Failure = 'throttled' | 'unsent' | 'refused' | 'unclear';

/** What an operator can do, by the error's name or code, where the SDK's message does not say it. */
const ADVICE: Readonly<Record<string, string>> = {
  CredentialsProviderError:
    'give this process a role, or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY',
  AccessDeniedException: 'the policy of this role or user must allow it',
  UnrecognizedClientException: 'AWS does not know this access key, or not in this AWS_REGION',
  ExpiredTokenException: 'the credentials of this process have expired',
  ENOTFOUND: 'check AWS_REGION, DYNAMODB_ENDPOINT_URL and the name server',
  ECONNREFUSED: 'nothing listens there; check DYNAMODB_ENDPOINT_URL',
};

const THROTTLED = new Set([
  'ProvisionedThroughputExceededException',
  'RequestLimitExceeded',
  'ThrottlingException',
  'Throttling',
  'TooManyRequestsException',
]);

export function failureOf(error: unknown): Failure {
  const { name, status } = describe(error);
  if (THROTTLED.has(name) || status === 429) return 'throttled';
  if (name === 'CredentialsProviderError' || (status >= 400 && status < 500)) return 'refused';
  return isUnsent(error) ? 'unsent' : 'unclear';
}

/**
 * Node names the system call that failed. A host name with several addresses gives an AggregateError with one error for each. The
 * SDK's HTTP handler reports a time-out of the connection only in the message.
 */
function isUnsent(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if (error instanceof AggregateError) return error.errors.length > 0 && error.errors.every(isUnsent);
  if ('syscall' in error && ['connect', 'getaddrinfo'].includes(String(error.syscall))) return true;
  return error.name === 'TimeoutError' && error.message.includes('did not establish a connection');
}

export function isConditionFailed(error: unknown): boolean {
  return describe(error).name === 'ConditionalCheckFailedException';
}

export function isMissingTable(error: unknown): boolean {
  return describe(error).name === 'ResourceNotFoundException';
}

/** The request itself is wrong, and would fail again later. */
export function isInvalid(error: unknown): boolean {
  return ['ValidationException', 'SerializationException'].includes(describe(error).name);
}

/** The error for callers of the port; the SDK's error is its `cause`. */
export function toStoreError(error: unknown, table: string): Error {
  if (
    error instanceof StoreUnavailableError ||
    error instanceof StoreOverloadedError ||
    error instanceof CorruptEventError ||
    error instanceof CorruptKeyError ||
    error instanceof InvalidPositionError
  ) {
    return error;
  }
  const { name, code, message } = describe(error);
  const cause = { cause: error };
  if (isMissingTable(error)) return new StoreUnavailableError(missingTable(table), cause);
  if (isInvalid(error))
    return new Error(`DynamoDB does not take a request on table ${table}: ${message}`, cause);
  const advice = ADVICE[name] ?? ADVICE[code];
  const text = `DynamoDB, table ${table}: ${name}: ${message}${advice === undefined ? '' : ` (${advice})`}`;
  return failureOf(error) === 'throttled'
    ? new StoreOverloadedError(text, cause)
    : new StoreUnavailableError(text, cause);
}

export function missingTable(table: string): string {
  return `table ${table} does not exist: create it with \`triggers-api tables create\`, or set DYNAMODB_CREATE_TABLES=true`;
}

function describe(error: unknown): { name: string; code: string; message: string; status: number } {
  if (!(error instanceof Error)) return { name: 'Error', code: '', message: String(error), status: 0 };
  const { $metadata } = error as { $metadata?: { httpStatusCode?: number } };
  // A refused connection to a host name with two addresses is an AggregateError without a message.
  const code = 'code' in error ? String(error.code) : '';
  return { name: error.name, code, message: error.message || code, status: $metadata?.httpStatusCode ?? 0 };
}
