import { STATUSES, validationError } from '../request-error.ts';
import type { Contract } from '../route.ts';
import type { UnversionedServices } from './routes.ts';
import { unversionedRoutes } from './routes.ts';
import * as schemas from './schemas.ts';

/** Everything outside of the other contracts; its errors are `{status, error_code, message, details, correlation_id}`. */
export function unversionedContract(services: UnversionedServices): Contract {
  return {
    prefix: '',
    about: {
      name: 'unversioned',
      description:
        'The same events without a version: equal events within a window are one, and a client deletes what it has handled.',
      schemaPrefix: 'Unversioned',
      schemas: { ...schemas },
      errorSchema: schemas.ErrorBody,
    },
    routes: unversionedRoutes(services),
    statuses: { ...STATUSES, INVALID_EVENT_ID: 400 },
    errorBody: ({ code, message, details }, status, requestId) =>
      JSON.stringify({ status, error_code: code, message, details, correlation_id: requestId }),
    invalidParams: validationError,
  };
}
