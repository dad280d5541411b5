import type { Micros } from '../event.ts';
import { CorruptEventError } from '../store-errors.ts';
import { readValue } from './database.ts';
import type { Lmdb } from './database.ts';
import type { Backlog, Deletion, Pace } from './expired.ts';
import { createProbes, listKeys } from './expired.ts';
import { decodeClaim, decodeClaimExpiry, isClaimExpiryKey } from './embedded-claims.ts';
import { isIntact } from './seal.ts';
import { sequenceKey } from './sequence.ts';

interface Parts {
  readonly lmdb: Pick<Lmdb, 'claims' | 'claimsByExpiry'>;
  /** Claims that end by this time may be deleted. */
  readonly deletableTo: () => Micros;
  readonly onDamage: (error: Error) => void;
  readonly pace: Pace;
}

/** The index of claims is in the order in which they end, but the claims are in random order: hardly any page is in memory. */
export function createExpiredClaims({
  lmdb: { claims, claimsByExpiry },
  deletableTo,
  onDamage,
  pace,
}: Parts): Backlog {
  const probes = createProbes(32);
  let after: Buffer | undefined;

  return {
    rewind() {
      after = undefined;
    },

    async next(limit) {
      const now = deletableTo();
      const end = sequenceKey(Math.max(0, now + 1));
      await pace.prefetch(claimsByExpiry, probes.keys(limit));
      const keys = await listKeys(claimsByExpiry, { after, end, limit }, pace);
      if (keys.length === 0) return [];
      after = keys.at(-1);
      const ends = keys.filter(isClaimExpiryKey).map((key) => ({ key, ...decodeClaimExpiry(key) }));
      const [first, last] = [ends[0], ends.at(-1)];
      if (first && last) probes.learn(first.expiresAt, last.expiresAt, ends.length);
      await pace.prefetch(
        claims,
        ends.map(({ claim }) => claim),
      );
      const damaged = keys.filter((key) => !isClaimExpiryKey(key));
      return [
        ...damaged.map(damagedEntry),
        ...ends.map(
          ({ key, claim }): Deletion =>
            () =>
              removeClaim(key, claim, now),
        ),
      ];
    },
  };

  function removeClaim(key: Buffer, claim: Buffer, now: Micros): boolean {
    const value = readValue(claims, claim);
    if (value !== undefined) {
      const isWhole = isIntact(claim, value);
      if (!isWhole) {
        onDamage(
          new CorruptEventError(
            `The record of expired claim ${claim.toString('hex')} is damaged; it is removed`,
          ),
        );
      }
      // A claim that was taken again meanwhile has an index entry of its own.
      if (!isWhole || decodeClaim(value).expiresAt <= now) claims.removeSync(claim);
    }
    return claimsByExpiry.removeSync(key);
  }

  function damagedEntry(key: Buffer): Deletion {
    onDamage(
      new CorruptEventError(
        `Entry ${key.toString('hex')} in the index of claims by expiry is damaged; it is removed`,
      ),
    );
    return () => claimsByExpiry.removeSync(key);
  }
}
