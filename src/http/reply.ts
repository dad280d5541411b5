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
  { headers, body, contentType }: Reply,
): void {
  to.writeHeader('x-request-id', head.requestId);
  for (const [name, value] of extraHeaders) to.writeHeader(name, value);
  if (headers) for (const [name, value] of headers) to.writeHeader(name, value);
  if (body !== null) to.writeHeader('content-type', contentType ?? 'application/json; charset=utf-8');
}
