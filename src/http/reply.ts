import { milliseconds } from './milliseconds.ts';

export type Headers = readonly (readonly [name: string, value: string])[];

/** The answer to a request. */
export interface Reply {
  readonly status: number;
  /**
   * JSON text; null for none. Bytes are what the service keeps anyhow, one buffer for all replies: they are never copied, so they
   * count for no reply in the memory of replies.
   */
  readonly body: string | Buffer | null;
  /** Of the body, where it is not JSON. */
  readonly contentType?: string;
  readonly headers?: Headers;
  /** The reason of a 5xx, for the log; the client does not see it. */
  readonly cause?: unknown;
  /** Called if another reply is sent instead, because there is no room for such a large one. */
  readonly unsent?: () => void;
}

/** The parts of a call that its reply needs. */
interface Answered {
  readonly head: { readonly requestId: string };
  /** Added to every reply, errors included. */
  readonly extraHeaders: Headers;
  readonly startedAt: number;
  readonly authMs: number | undefined;
  readonly handledAt: number | undefined;
}

/**
 * Writes every header of a reply except those that frame it.
 *
 * @param now of `performance.now()`.
 */
export function writeHeaders(
  to: { writeHeader(name: string, value: string): unknown },
  call: Answered,
  { headers, body, contentType }: Reply,
  now: number,
): void {
  const { extraHeaders } = call;
  to.writeHeader('x-request-id', call.head.requestId);
  // Only to callers with a key: to others the time that a key takes would say something about keys.
  if (call.authMs !== undefined) to.writeHeader('server-timing', serverTiming(call, call.authMs, now));
  for (const [name, value] of extraHeaders) to.writeHeader(name, value);
  if (headers) for (const [name, value] of headers) to.writeHeader(name, value);
  if (body !== null) to.writeHeader('content-type', contentType ?? 'application/json; charset=utf-8');
}

/** W3C Server Timing (https://www.w3.org/TR/server-timing/), in milliseconds. A reply that needed no store says nothing of it. */
function serverTiming({ startedAt, handledAt }: Answered, authMs: number, now: number): string {
  const store = handledAt === undefined ? '' : `store;dur=${milliseconds(now - handledAt)}, `;
  return `auth;dur=${milliseconds(authMs)}, ${store}total;dur=${milliseconds(now - startedAt)}`;
}
