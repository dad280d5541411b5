import { isAscii, isUtf8 } from 'node:buffer';
import { invalidField, RequestError } from './request-error.ts';

/** Largest request body, in bytes, where the route does not take more. */
export const BODY_LIMIT = 512 * 1024;
/** Largest body of a call for many items. */
export const BATCH_BODY_LIMIT = 4 * 1024 * 1024;

const JSON_TYPE = /^application\/(?:json|[\w.-]+\+json)\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*"?([^";\s]+)/i;

/** A body without a content type counts as JSON, because the API takes nothing else. */
export function requireJson(contentType: string | undefined): void {
  if (contentType === undefined || contentType === '') return;
  const charset = CHARSET.exec(contentType)?.[1] ?? 'utf-8';
  if (JSON_TYPE.test(contentType) && /^utf-?8$/i.test(charset)) return;
  throw new RequestError(
    'UNSUPPORTED_MEDIA_TYPE',
    'content-type: send application/json (in UTF-8); this body says it is something else',
  );
}

/** A request body as text and as the value that it means. */
export interface JsonBody {
  readonly text: string;
  readonly value: unknown;
}

export function parseJson(body: Buffer): JsonBody {
  const text = decodeUtf8(body);
  try {
    return { text, value: JSON.parse(text) as unknown };
  } catch (error) {
    throw invalidJson(error);
  }
}

/** @param from position in the body of the text that `JSON.parse` has refused. */
export function invalidJson(error: unknown, from = 0): RequestError {
  return invalidField('body', `must be valid JSON (${describeSyntaxError(error, from)})`);
}

export function decodeUtf8(body: Buffer): string {
  // Most bodies are ASCII, and decoding Latin-1 is a plain copy.
  if (isAscii(body)) return body.toString('latin1');
  if (!isUtf8(body)) throw invalidField('body', 'must be UTF-8');
  return body.toString('utf8');
}

/** V8's message quotes the text around the mistake. Payloads must not get into error messages, which clients log. */
function describeSyntaxError(error: unknown, from: number): string {
  const message = error instanceof Error ? error.message : '';
  if (/^(?:Unexpected end|Unterminated)/.test(message)) return 'it ends too early';
  const position = /at position (\d+)/.exec(message)?.[1];
  return position === undefined
    ? 'unexpected token'
    : `unexpected token at position ${String(from + Number(position))}`;
}
