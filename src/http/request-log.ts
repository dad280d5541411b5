import type { Logger } from 'pino';
import { StoreOverloadedError, StoreUnavailableError } from '../store/store-errors.ts';
import { requestMembers, requestMembersText, type LoggedRequest } from './request-line.ts';

/**
 * Hooks for a server: the start of a request at debug, one line for each request at info, a 5xx with its reason at error. If the
 * reason is only that the store takes no more at the moment, the line is at warn and without a stack.
 *
 * @param writeInfo writes a line at info of members that are JSON text already, each behind a comma; undefined where every line
 * has to go through the logger.
 */
export function requestLog(
  logger: Logger,
  writeInfo: ((members: string, msg: string) => void) | undefined,
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
      const { status, cause } = exchange;
      if (writeInfo !== undefined && status !== null && cause === undefined && status < 500) {
        writeInfo(requestMembersText(exchange), 'request');
        return;
      }
      const line = requestMembers(exchange);
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
