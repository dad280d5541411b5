export type Headers = readonly (readonly [name: string, value: string])[];

/** The answer to a request. */
export interface Reply {
  readonly status: number;
  /** JSON text; null for none. */
  readonly body: string | null;
  readonly headers?: Headers;
  /** The reason of a 5xx, for the log; the client does not see it. */
  readonly cause?: unknown;
}

/** The parts of a call that its reply needs. */
interface Answered {
  readonly head: { readonly requestId: string };
  /** Added to every reply, errors included. */
  readonly extraHeaders: Headers;
}

/** Writes every header of a reply except those that frame it. */
export function writeHeaders(
  to: { writeHeader(name: string, value: string): unknown },
  { head, extraHeaders }: Answered,
  { headers, body }: Reply,
): void {
  to.writeHeader('x-request-id', head.requestId);
  for (const [name, value] of extraHeaders) to.writeHeader(name, value);
  if (headers) for (const [name, value] of headers) to.writeHeader(name, value);
  if (body !== null) to.writeHeader('content-type', 'application/json; charset=utf-8');
}
