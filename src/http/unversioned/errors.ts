import { STATUSES, validationError } from '../errors.ts';
import type { Contract } from '../route.ts';

/** Everything outside `/v1`: `{status, error_code, message, details, correlation_id}`. */
export const unversionedContract: Contract = {
  statuses: { ...STATUSES, INVALID_EVENT_ID: 400 },
  errorBody: ({ code, message, details }, status, requestId) =>
    JSON.stringify({ status, error_code: code, message, details, correlation_id: requestId }),
  invalidParams: validationError,
};
