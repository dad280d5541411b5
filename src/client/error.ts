/** One field of a request that was refused. */
export interface FieldError {
  /** Dotted path, e.g. `metadata.priority`. */
  readonly field: string;
  readonly message: string;
}

/** Codes of the service. docs/api.md of the service lists them with their statuses. */
type ServiceErrorCode =
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

/** Codes of this client, for what never got a reply of the service. */
type ClientErrorCode =
  /** There was no connection, or it broke. In a browser also: the service does not name the page's origin. */
  | 'NETWORK_ERROR'
  /** There was no whole reply in time. */
  | 'TIMEOUT'
  /** There was a reply, but not one of this API: a proxy's page, for example, or a redirect. */
  | 'UNEXPECTED_RESPONSE';

/** The known codes; newer versions of the service may have more. */
export type ErrorCode = ServiceErrorCode | ClientErrorCode | (string & {});

interface TriggersErrorOptions {
  readonly code: ErrorCode;
  readonly status: number | null;
  readonly requestId: string | null;
  readonly retryable: boolean;
  readonly details?: readonly FieldError[] | null;
  readonly cause?: unknown;
}

/** A call that has failed, after all of its tries. */
export class TriggersError extends Error {
  override readonly name = 'TriggersError';
  readonly code: ErrorCode;
  /** HTTP status; null where there was no reply. */
  readonly status: number | null;
  /** Names the request in the log of the service; null where there was no reply. */
  readonly requestId: string | null;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** What is wrong with each field; null where it is not a matter of fields. */
  readonly details: readonly FieldError[] | null;

  constructor(message: string, options: TriggersErrorOptions) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined);
    this.code = options.code;
    this.status = options.status;
    this.requestId = options.requestId;
    this.retryable = options.retryable;
    this.details = options.details ?? null;
  }
}
