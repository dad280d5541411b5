import { CorruptEventError } from '../store-errors.ts';
import type { Micros } from '../event.ts';
import type { Appended, Claim } from '../event-store.ts';
import { readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import { claimEntry, claimExpiryEntry, claimExpiryKey, claimKey, decodeClaim, isIntact } from './record.ts';

/** First come, first served. All within a transaction of the writer. */
export interface Claims {
  /**
   * Undefined: nobody held the claim when the event was made, and now this event does. One time, that of the events, says
   * when a claim was made and when it ends: the wall clock may have been set back in between.
   */
  take(claim: Claim, event: { readonly id: string; readonly createdAt: Micros }): Appended | undefined;
}

export function createClaims({ claims, claimsByExpiry }: Lmdb): Claims {
  return {
    take(claim, event) {
      const key = claimKey(claim.key);
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
