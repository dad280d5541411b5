import type { Micros, StoredEvent } from '../store/event.ts';
import { openText, sealText } from './sealed-text.ts';

/** What a token names. */
export interface HeldLease {
  readonly eventId: string;
  /** As the store gave it out. */
  readonly leaseId: string;
  readonly createdAt: Micros;
}

const BYTES = { eventId: 16, leaseId: 16, createdAt: 8 };
const AT = { leaseId: BYTES.eventId, createdAt: BYTES.eventId + BYTES.leaseId };
const LENGTH = AT.createdAt + BYTES.createdAt;

/** The text by which a consumer shows that it has this lease of this event, in 66 characters of base64url. */
export function encodeLeaseToken({ tenant, id, createdAt }: StoredEvent, leaseId: string): string {
  const content = Buffer.allocUnsafe(LENGTH);
  content.write(id.replaceAll('-', ''), 0, 'hex');
  content.write(leaseId, AT.leaseId, 'hex');
  content.writeDoubleBE(createdAt, AT.createdAt);
  return sealText([tenant, 'lease'], content);
}

/** @returns undefined for a token that is malformed, altered, or another tenant's. */
export function decodeLeaseToken(tenant: string, token: string): HeldLease | undefined {
  const content = openText([tenant, 'lease'], token);
  if (content?.length !== LENGTH) return undefined;
  const hex = content.toString('hex', 0, BYTES.eventId);
  return {
    eventId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    leaseId: content.toString('hex', AT.leaseId, AT.createdAt),
    createdAt: content.readDoubleBE(AT.createdAt),
  };
}
