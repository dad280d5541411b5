import type { Micros } from '../event.ts';
import type { Acknowledgement, Failed } from '../event-store.ts';
import type { Lmdb } from './database.ts';
import { doneAt, doneEntry, type Done } from './done.ts';
import { recordAt, type createEvents } from './embedded-events.ts';
import { recordedAcknowledgement } from './event-record.ts';
import { runningUntil, type LeaseTable } from './lease-table.ts';
import type { Sequence } from './sequence.ts';
import { inParts, oneOfMany, SMALL_WRITE_BYTES } from './write-many.ts';
import type { Writer } from './writer.ts';

interface Parts {
  readonly lmdb: Lmdb;
  readonly writer: Writer;
  readonly events: Pick<ReturnType<typeof createEvents>, 'find' | 'removePending'>;
  readonly leases: LeaseTable;
  readonly now: () => Micros;
}

/** Acknowledges events. */
export function createAcknowledgements({ lmdb: { done }, writer, events, leases, now }: Parts) {
  const { find, removePending } = events;
  return { acknowledgeNow, writes: { acknowledge, acknowledgeMany } };

  async function acknowledge(tenant: string, id: string, at: Micros): Promise<Acknowledgement> {
    return writer.write(tenant, SMALL_WRITE_BYTES, () => acknowledgeById(tenant, id, at));
  }

  function acknowledgeById(tenant: string, id: string, at: Micros): Acknowledgement {
    const place = find(tenant, id);
    if (place === undefined) return { outcome: 'missing' };
    const { sequence } = place;
    const acknowledgedAt = recordedAcknowledgement(recordAt(place, id)) ?? doneAt(done, sequence)?.at;
    if (acknowledgedAt !== undefined) return { outcome: 'already', acknowledgedAt };
    acknowledgeNow(tenant, sequence, { at, leaseId: null });
    return { outcome: 'acknowledged', acknowledgedAt: at };
  }

  /** To be called within a transaction, for an event that has not been acknowledged. */
  function acknowledgeNow(tenant: string, sequence: Sequence, how: Done): void {
    const entry = doneEntry(sequence, how);
    done.putSync(entry.key, entry.value);
    removePending(tenant, sequence);
  }

  async function acknowledgeMany(
    tenant: string,
    ids: readonly string[],
    at: Micros,
    force = false,
  ): Promise<readonly (Acknowledgement | typeof LEASED | Failed)[]> {
    return inParts(writer, tenant, ids, (id) =>
      oneOfMany(() => (!force && isLeased(tenant, id) ? LEASED : acknowledgeById(tenant, id, at))),
    );
  }

  function isLeased(tenant: string, id: string): boolean {
    const place = find(tenant, id);
    return place !== undefined && runningUntil(leases, place.sequence, now()) !== undefined;
  }
}

const LEASED = { outcome: 'leased' } as const;
