import { createHash } from 'node:crypto';

const CHECKSUM_BYTES = 9;

/**
 * A cursor is a checksum and a store's position, in base64url. The checksum covers the tenant and the contract, so that
 * cursors of other tenants and typing errors are recognized. It is no secret and grants nothing: a client that forges a cursor
 * only walks its own inbox from another place.
 */
export function encodeCursor(tenant: string, contract: string, position: string): string {
  return Buffer.concat([checksum(tenant, contract, position), Buffer.from(position, 'latin1')]).toString(
    'base64url',
  );
}

/** @returns the position; undefined for a cursor that is malformed, altered, or of another tenant or contract. */
export function decodeCursor(tenant: string, contract: string, cursor: string): string | undefined {
  const bytes = Buffer.from(cursor, 'base64url');
  // Node reads base64url leniently, but a cursor has only one spelling.
  if (bytes.length <= CHECKSUM_BYTES || bytes.toString('base64url') !== cursor) return undefined;
  const position = bytes.toString('latin1', CHECKSUM_BYTES);
  const expected = checksum(tenant, contract, position);
  return expected.equals(bytes.subarray(0, CHECKSUM_BYTES)) ? position : undefined;
}

function checksum(...parts: readonly string[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${String(part.length)}:${part}`);
  return hash.digest().subarray(0, CHECKSUM_BYTES);
}
