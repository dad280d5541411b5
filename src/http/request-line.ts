import type { Exchange } from './exchange.ts';
import { milliseconds } from './milliseconds.ts';
import { parseQuery } from './query.ts';

/** What the log says of a request, which need not have come on a socket. */
export type LoggedRequest = Pick<
  Exchange,
  | 'requestId'
  | 'head'
  | 'method'
  | 'route'
  | 'rawQuery'
  | 'clientAddress'
  | 'startedAt'
  | 'endedAt'
  | 'principal'
  | 'status'
  | 'cause'
  | 'bytesIn'
  | 'bytesOut'
>;

/** What the log says of a request, by the names that docs/operations.md explains. */
export function requestMembers(exchange: LoggedRequest): Record<string, unknown> {
  return {
    request_id: exchange.requestId,
    trace_id: exchange.head.trace?.traceId,
    parent_id: exchange.head.trace?.parentId,
    method: exchange.method,
    route: exchange.route,
    status: exchange.status,
    response_time_ms: Number(milliseconds(exchange.endedAt - exchange.startedAt)),
    key_id: exchange.principal?.keyId,
    tenant: exchange.principal?.tenant,
    client: exchange.clientAddress,
    bytes_in: exchange.bytesIn,
    bytes_out: exchange.bytesOut,
    query: exchange.rawQuery === '' ? undefined : loggedQuery(exchange.rawQuery),
  };
}

/**
 * The same as JSON text, each member behind a comma, for requests that went well: with pino's serialiser, which looks at every
 * member anew, a line takes twice as long. A test compares the two.
 */
export function requestMembersText(exchange: LoggedRequest): string {
  const { head, principal, rawQuery, status } = exchange;
  const trace =
    head.trace === undefined
      ? ''
      : `,"trace_id":"${head.trace.traceId}","parent_id":"${head.trace.parentId}"`;
  const caller =
    principal === undefined
      ? ''
      : `,"key_id":${quoted(principal.keyId)},"tenant":${quoted(principal.tenant)}`;
  const query = rawQuery === '' ? '' : `,"query":${JSON.stringify(loggedQuery(rawQuery))}`;
  return (
    `,"request_id":${quoted(head.requestId)}${trace},"method":${quoted(exchange.method)},"route":${quoted(exchange.route)}` +
    `,"status":${String(status)},"response_time_ms":${milliseconds(exchange.endedAt - exchange.startedAt)}${caller}` +
    `,"client":${quoted(exchange.clientAddress)},"bytes_in":${String(exchange.bytesIn)},"bytes_out":${String(exchange.bytesOut)}${query}`
  );
}

/** Printable ASCII without the quotation mark and the backslash. */
const UNESCAPED = /^[ !#-[\]-~]*$/;

function quoted(text: string): string {
  return UNESCAPED.test(text) ? `"${text}"` : JSON.stringify(text);
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
