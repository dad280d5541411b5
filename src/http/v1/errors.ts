import type { ErrorCode } from '../errors.ts';
import { RequestError } from '../errors.ts';
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
  INVALID_EVENT_ID: 422,
  IDEMPOTENCY_KEY_REUSED: 422,
  RATE_LIMITED: 429,
  INTERNAL_ERROR: 500,
  SERVICE_UNAVAILABLE: 503,
};

/** `/v1`: `{error: {code, message, details, request_id}}`. */
export const v1Contract: Contract = {
  statuses,
  errorBody: ({ code, message, details }, _status, requestId) =>
    JSON.stringify({ error: { code, message, details, request_id: requestId } }),
  invalidParams: (details) =>
    new RequestError('INVALID_EVENT_ID', 'event_id: must be a UUID, as it came in the reply to POST', {
      details,
    }),
};
