import { RequestError, STATUSES, validationError } from '../request-error.ts';
import type { Contract } from '../route.ts';
import type { V1Services } from './routes.ts';
import { v1Routes } from './routes.ts';
import * as schemas from './schemas.ts';

/** `/v1`; its errors are `{error: {code, message, details, request_id}}`. */
export function v1Contract(services: V1Services): Contract {
  return {
    prefix: '/v1',
    about: {
      name: 'v1',
      description:
        'The versioned contract, recommended to new clients: sources and metadata in every event, idempotency keys, real deletion.',
      schemaPrefix: 'V1',
      schemas: { ...schemas },
      errorSchema: schemas.ErrorBody,
    },
    routes: v1Routes(services),
    statuses: STATUSES,
    errorBody: ({ code, message, details }, _status, requestId) =>
      JSON.stringify({ error: { code, message, details, request_id: requestId } }),
    invalidParams: (details) =>
      new RequestError('INVALID_EVENT_ID', validationError(details).message, { details }),
  };
}
