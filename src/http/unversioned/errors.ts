import type { ErrorCode } from '../errors.ts';
import { validationError } from '../errors.ts';
import type { Contract } from '../route.ts';

const statuses: Readonly<Record<ErrorCode, number>> = {
  VALIDATION_ERROR: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_ALLOWED: 405,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  UNSUPPORTED_MEDIA_TYPE: 415,
  INVALID_EVENT_ID: 400,
  IDEMPOTENCY_KEY_REUSED: 422,
  RATE_LIMITED: 429,
  INTERNAL_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
};

/** Everything outside `/v1`: `{status, error_code, message, details, correlation_id}`. */
export const unversionedContract: Contract = {
  statuses,
  errorBody: ({ code, message, details }, status, requestId) =>
    JSON.stringify({ status, error_code: code, message, details, correlation_id: requestId }),
  invalidParams: validationError,
};
