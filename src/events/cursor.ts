import { openText, sealText } from './sealed-text.ts';

/**
 * A cursor is a store's position for one tenant and contract. It grants nothing: a client that forges one only walks its own
 * inbox from another place.
 */
export function encodeCursor(tenant: string, contract: string, position: string): string {
  return sealText([tenant, contract], Buffer.from(position, 'latin1'));
}

/** @returns the position; undefined for a cursor that is malformed, altered, or of another tenant or contract. */
export function decodeCursor(tenant: string, contract: string, cursor: string): string | undefined {
  return openText([tenant, contract], cursor)?.toString('latin1');
}
