import type { Logger } from 'pino';
import { StoreOverloadedError, StoreUnavailableError } from '../store/store-errors.ts';
import type { Exchange } from './exchange.ts';
import { parseQuery } from './query.ts';

/** What the log says of a request, which need not have come on a socket. */
export type LoggedRequest = Pick<
  Exchange,
  | 'requestId'
  | 'method'
  | 'route'
  | 'rawQuery'
  | 'clientAddress'
  | 'startedAt'
  | 'principal'
  | 'status'
  | 'cause'
>;

/**
 * Hooks for a server: the start of a request at debug, one line for each request at info, a 5xx with its reason at error. If the
 * reason is only that the store takes no more at the moment, the line is at warn and without a stack.
 */
export function requestLog(
  logger: Logger,
): Record<'onRequest' | 'onResponse', (exchange: LoggedRequest) => void> {
  return {
    onRequest(exchange) {
      if (!logger.isLevelEnabled('debug')) return;
      logger.debug(
        { request_id: exchange.requestId, method: exchange.method, route: exchange.route },
        'request started',
      );
    },
    onResponse(exchange) {
      const { status } = exchange;
      const line = {
        request_id: exchange.requestId,
        method: exchange.method,
        route: exchange.route,
        status,
        response_time_ms: Math.round((performance.now() - exchange.startedAt) * 1000) / 1000,
        key_id: exchange.principal?.keyId,
        client: exchange.clientAddress,
        query: exchange.rawQuery === '' ? undefined : loggedQuery(exchange.rawQuery),
      };
      const { cause } = exchange;
      if (status === null) logger.info({ ...line, err: cause }, 'client went away');
      else if (isRefusal(cause)) logger.warn({ ...line, reason: cause.message }, 'request refused');
      else if (status >= 500) logger.error({ ...line, err: cause }, 'request failed');
      else logger.info({ ...line, err: cause }, 'request');
    },
  };
}

/** While a disk is full there may be thousands of these a second, perhaps logged to that same disk. */
function isRefusal(cause: unknown): cause is Error {
  return (
    cause instanceof StoreOverloadedError ||
    (cause instanceof StoreUnavailableError && cause.cause === undefined)
  );
}

const LOGGED_PARAMETERS = ['limit', 'cursor', 'source', 'event_type'];

/** Only parameters that cannot hold a secret are logged: people put keys into query strings. */
function loggedQuery(raw: string): Record<string, string | number> | string {
  try {
    const query = parseQuery(raw);
    const shown = Object.entries(query).filter(([name]) => LOGGED_PARAMETERS.includes(name));
    const hidden = Object.keys(query).length - shown.length;
    return { ...Object.fromEntries(shown), ...(hidden > 0 ? { hidden } : {}) };
  } catch {
    return '[malformed]';
  }
}
