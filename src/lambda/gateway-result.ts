import type { Reply } from '../http/reply.ts';

/** A reply in the payload format 2.0 of API Gateway. */
export interface GatewayResult {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** True: `body` is bytes. */
  readonly isBase64Encoded?: boolean;
}

/**
 * Bytes that an invocation may answer, encoded as JSON:
 * https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html.
 */
export const RESULT_LIMIT_BYTES = 6 * 1024 * 1024;

/**
 * Bytes of payload that an inbox page may have here, less the last event's. Text grows in a result, where `"` and `\` are
 * escaped, to twice its size at worst; in base64 it grows to 4/3, whatever it says. With 100 events of 12 KB around each payload
 * and the last one's 400 KB a page has at most 4.2 MB, and so at most 5.7 MB in base64.
 */
export const LAMBDA_PAGE_PAYLOAD_BYTES = 2.5 * 1024 * 1024;

/** @param reply with all of its headers. */
export function toResult({ status, headers = [], body }: Reply): GatewayResult {
  const head = { statusCode: status, headers: joined(headers) };
  if (body === null) return head;
  if (typeof body === 'string') {
    // In JSON a character has at most 6 bytes, so most replies need not be measured.
    if (body.length < RESULT_LIMIT_BYTES / 8) return { ...head, body };
    const result = { ...head, body };
    if (Buffer.byteLength(JSON.stringify(result)) <= RESULT_LIMIT_BYTES) return result;
  }
  return { ...head, body: Buffer.from(body).toString('base64'), isBase64Encoded: true };
}

/** A result has each header once; RFC 9110, section 5.2, says how several become one. */
function joined(headers: NonNullable<Reply['headers']>): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of headers) {
    result[name] = result[name] === undefined ? value : `${result[name]}, ${value}`;
  }
  return result;
}
