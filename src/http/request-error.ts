import { CorruptEventError, StoreOverloadedError, StoreUnavailableError } from '../store/store-errors.ts';
import type { Headers } from './reply.ts';

/** The error codes of both contracts. */
export type ErrorCode =
  | 'VALIDATION_ERROR'
  | 'UNAUTHORIZED'
  | 'FORBIDDEN'
  | 'NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'CONFLICT'
  | 'PAYLOAD_TOO_LARGE'
  | 'UNSUPPORTED_MEDIA_TYPE'
  | 'INVALID_EVENT_ID'
  | 'IDEMPOTENCY_KEY_REUSED'
  | 'LEASED'
  | 'LEASE_LOST'
  | 'LEASE_MALFORMED'
  | 'RATE_LIMITED'
  | 'INTERNAL_ERROR'
  | 'SERVICE_UNAVAILABLE';

/** The statuses of both contracts; a contract that differs overrides its own. */
export const STATUSES: Readonly<Record<ErrorCode, number>> = {
  VALIDATION_ERROR: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INVALID_EVENT_ID: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  LEASED: 409,
  LEASE_LOST: 409,
  LEASE_MALFORMED: 400,
  RATE_LIMITED: 429,
  INTERNAL_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
};

export interface FieldError {
  /** Dotted path, e.g. `metadata.priority`; `body` or `query` for the whole. */
  readonly field: string;
  readonly message: string;
}

interface RequestErrorOptions {
  /** Set for validation errors, in the order in which the fields were checked. */
  readonly details?: readonly FieldError[];
  readonly headers?: Headers;
  readonly cause?: unknown;
}

/** A request that gets an error reply. The message and the details reach the client. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  readonly code: ErrorCode;
  readonly details: readonly FieldError[] | null;
  readonly headers: Headers;

  constructor(code: ErrorCode, message: string, options: RequestErrorOptions = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = code;
    this.details = options.details ?? null;
    this.headers = options.headers ?? [];
  }
}

/** @param details at least one. */
export function validationError(details: readonly FieldError[]): RequestError {
  const [first] = details;
  if (!first) throw new TypeError('a validation error names at least one field');
  const more = details.length - 1;
  const rest = more === 0 ? '' : ` (and ${String(more)} more ${more === 1 ? 'error' : 'errors'})`;
  return new RequestError('VALIDATION_ERROR', `${first.field}: ${first.message}${rest}`, { details });
}

export function eventNotFound(): RequestError {
  return new RequestError('NOT_FOUND', 'there is no such event: it never was, was deleted, or has expired');
}

/** Of single items of a call for many. */
export const LEASED = new RequestError(
  'LEASED',
  'somebody has leased this event; `force` acknowledges it all the same',
);
export const LEASE_LOST = new RequestError(
  'LEASE_LOST',
  'the lease has run out or was settled, somebody else has leased the event, or it was acknowledged or deleted by its id',
);
export const LEASE_MALFORMED = new RequestError(
  'LEASE_MALFORMED',
  'this is no token of a lease of yours: send it as it came, with a key of the same tenant',
);

export function invalidCursor(): RequestError {
  return invalidField('cursor', 'must be the next_cursor of a page of this inbox; start again without it');
}

export function invalidField(field: string, message: string): RequestError {
  return validationError([{ field, message }]);
}

export function bodyTooLarge(limit: number): RequestError {
  return new RequestError('PAYLOAD_TOO_LARGE', `the body is larger than ${String(limit)} bytes`);
}

const RETRY_SOON: Headers = [['retry-after', '1']];

export function unavailable(message: string, cause?: unknown): RequestError {
  return new RequestError('SERVICE_UNAVAILABLE', message, { headers: RETRY_SOON, cause });
}

/** Turns anything that was thrown into an error for the client. An unexpected error reveals nothing about itself. */
export function toRequestError(error: unknown): RequestError {
  if (error instanceof RequestError) return error;
  if (error instanceof StoreUnavailableError) {
    return unavailable('the event store cannot be reached at the moment; try again', error);
  }
  if (error instanceof StoreOverloadedError) {
    return unavailable('too many requests are under way; try again', error);
  }
  const message =
    error instanceof CorruptEventError
      ? 'the stored record of this event is damaged; quote the request id to the operator'
      : 'something went wrong on our side; quote the request id to the operator';
  return new RequestError('INTERNAL_ERROR', message, { cause: error });
}
