import { createHash } from 'node:crypto';

const CHECKSUM_BYTES = 9;

/**
 * Bytes as text that only those can read whom it was made for: a checksum and the bytes, in base64url. The checksum covers the
 * `scope` (such as tenant and contract), so that typing errors and texts of other scopes are recognized. It is no secret.
 */
export function sealText(scope: readonly string[], content: Buffer): string {
  return Buffer.concat([checksum(scope, content), content]).toString('base64url');
}

/** @returns the bytes; undefined for a text that is malformed, altered, or of another scope. */
export function openText(scope: readonly string[], text: string): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64url');
  // Node reads base64url leniently, but a text has only one spelling.
  if (bytes.length <= CHECKSUM_BYTES || bytes.toString('base64url') !== text) return undefined;
  const content = bytes.subarray(CHECKSUM_BYTES);
  return checksum(scope, content).equals(bytes.subarray(0, CHECKSUM_BYTES)) ? content : undefined;
}

function checksum(scope: readonly string[], content: Buffer): Buffer {
  const hash = createHash('sha256');
  for (const part of scope) hash.update(`${String(part.length)}:${part}`);
  return hash
    .update(`${String(content.length)}:`)
    .update(content)
    .digest()
    .subarray(0, CHECKSUM_BYTES);
}
