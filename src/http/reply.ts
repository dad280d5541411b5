export type Headers = readonly (readonly [name: string, value: string])[];

/** What a request is answered with. */
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
  /** What a 5xx hides from the client: for the log. */
  readonly cause?: unknown;
}

/** What a reply to a call needs of the call. */
interface Answered {
  readonly head: { readonly requestId: string };
  /** For the reply, whatever it is. */
  readonly extraHeaders: Headers;
}

/** Hands over every header of a reply but those that frame it. */
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
