import { createHash } from 'node:crypto';

const CHECKSUM_BYTES = 9;

/**
 * A cursor is base64url of a checksum and a store's position. The checksum covers the tenant and the contract, so that a
 * cursor of somebody else is told from one's own, and typing errors from both. It is no secret and grants nothing:
 * whoever forges one walks their own inbox from another place.
 */
export function encodeCursor(tenant: string, contract: string, position: string): string {
  return Buffer.concat([checksum(tenant, contract, position), Buffer.from(position, 'latin1')]).toString(
    'base64url',
  );
}

/** @returns the position; undefined for a cursor that is malformed, altered, or of another tenant or contract. */
export function decodeCursor(tenant: string, contract: string, cursor: string): string | undefined {
  const bytes = Buffer.from(cursor, 'base64url');
  // Node reads base64url leniently; a cursor has one spelling only.
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
