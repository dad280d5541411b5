import { RequestError, STATUSES, validationError } from '../errors.ts';
import type { Contract } from '../route.ts';

/** `/v1`: `{error: {code, message, details, request_id}}`. */
export const v1Contract: Contract = {
  statuses: STATUSES,
  errorBody: ({ code, message, details }, _status, requestId) =>
    JSON.stringify({ error: { code, message, details, request_id: requestId } }),
  invalidParams: (details) =>
    new RequestError('INVALID_EVENT_ID', validationError(details).message, { details }),
};
