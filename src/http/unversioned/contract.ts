import { STATUSES, validationError } from '../request-error.ts';
import type { Contract } from '../route.ts';
import type { UnversionedServices } from './routes.ts';
import { unversionedRoutes } from './routes.ts';

/** Every path that no other contract has; its errors are `{status, error_code, message, details, correlation_id}`. */
export function unversionedContract(services: UnversionedServices): Contract {
  return {
    prefix: '',
    routes: unversionedRoutes(services),
    statuses: { ...STATUSES, INVALID_EVENT_ID: 400 },
    errorBody: ({ code, message, details }, status, requestId) =>
      JSON.stringify({ status, error_code: code, message, details, correlation_id: requestId }),
    invalidParams: validationError,
  };
}
