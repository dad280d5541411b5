import { CorruptEventError } from '../store-errors.ts';
import type { Micros, StoredEvent } from '../event.ts';
import type { Appended, Claim } from '../event-store.ts';
import { readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import { formatId } from './event-id.ts';
import { BODY_START, bodyEnd, isIntact, newEntry, seal } from './seal.ts';
import type { Entry } from './seal.ts';
import { readSequence, SEQUENCE_BYTES, sequenceKey, writeSequence } from './sequence.ts';

/** The tables of claims: the first event that brings a claim holds it. */
export interface Claims {
  /**
   * Takes the claim for the event, within a transaction of the writer. Undefined: nobody held it at the time of the event, and
   * now the event does. When a claim begins and ends is judged by the times of events alone, because the wall clock may have
   * been set back in between.
   */
  take(claim: Claim, event: { readonly id: string; readonly createdAt: Micros }): Appended | undefined;
}

export function createClaims({ claims, claimsByExpiry }: Lmdb): Claims {
  return {
    take(claim, event) {
      const key = Buffer.from(claim.key, 'hex');
      const value = readValue(claims, key);
      if (value !== undefined) {
        if (!isIntact(key, value)) throw new CorruptEventError(`The record of claim ${claim.key} is damaged`);
        const held = decodeClaim(value);
        if (held.expiresAt > event.createdAt) {
          if (held.fingerprint !== claim.fingerprint) return { outcome: 'conflict' };
          return { outcome: 'duplicate', id: held.id, createdAt: held.createdAt };
        }
        claimsByExpiry.removeSync(claimExpiryKey(held.expiresAt, key));
      }
      const entry = claimEntry(key, claim, event);
      claims.putSync(entry.key, entry.value);
      const expiry = claimExpiryEntry(claim.expiresAt, key);
      claimsByExpiry.putSync(expiry.key, expiry.value);
      return undefined;
    },
  };
}

/** What an intact claim says. */
export function decodeClaim(value: Buffer): Omit<Claim, 'key'> & Pick<StoredEvent, 'id' | 'createdAt'> {
  return {
    id: formatId(value, AT.id),
    createdAt: readSequence(value, AT.createdAt),
    expiresAt: readSequence(value, AT.expiresAt),
    fingerprint: value.toString('hex', AT.fingerprint, bodyEnd(value)),
  };
}

/** Whether a key of the index by expiry is as long as one should be; a damaged key may not be. */
export function isClaimExpiryKey(key: Buffer): boolean {
  return key.length === SEQUENCE_BYTES + CLAIM_KEY_BYTES;
}

export function decodeClaimExpiry(key: Buffer): { expiresAt: Micros; claim: Buffer } {
  return { expiresAt: readSequence(key, 0), claim: Buffer.from(key.subarray(SEQUENCE_BYTES)) };
}

function claimEntry(key: Buffer, claim: Claim, event: Pick<StoredEvent, 'id' | 'createdAt'>): Entry {
  const entry = newEntry(key.length, AT.fingerprint - BODY_START + claim.fingerprint.length / 2);
  key.copy(entry.key);
  entry.value.write(event.id.replaceAll('-', ''), AT.id, 'hex');
  writeSequence(entry.value, event.createdAt, AT.createdAt);
  writeSequence(entry.value, claim.expiresAt, AT.expiresAt);
  entry.value.write(claim.fingerprint, AT.fingerprint, 'hex');
  return seal(entry);
}

export function claimExpiryKey(expiresAt: Micros, key: Buffer): Buffer {
  return Buffer.concat([sequenceKey(expiresAt), key]);
}

function claimExpiryEntry(expiresAt: Micros, key: Buffer): Entry {
  const whole = claimExpiryKey(expiresAt, key);
  const entry = newEntry(whole.length, 0);
  whole.copy(entry.key);
  return seal(entry);
}

/** The key of a claim is a SHA-256. */
const CLAIM_KEY_BYTES = 32;

/** The value of a claim: the id of its event, two times, and to the end the fingerprint of the content. */
const AT = { id: 1, createdAt: 17, expiresAt: 25, fingerprint: 33 };
