import type { Micros } from '../event.ts';
import type { Redriven, Settled, Settlement } from '../lease-store.ts';
import type { createAcknowledgements } from './acknowledgements.ts';
import type { Lmdb } from './database.ts';
import { doneAt } from './done.ts';
import { recordAt, type createEvents } from './embedded-events.ts';
import { decodeEvent } from './event-record.ts';
import { isSpent } from './handing-out.ts';
import type { LeaseRecord } from './lease-record.ts';
import type { LeaseTable } from './lease-table.ts';
import { quarantineAt, type createQuarantine } from './quarantine.ts';
import type { Sequence } from './sequence.ts';

export interface SettlingParts {
  readonly lmdb: Lmdb;
  readonly events: Pick<ReturnType<typeof createEvents>, 'find' | 'get'>;
  readonly acknowledgements: Pick<ReturnType<typeof createAcknowledgements>, 'acknowledgeNow'>;
  readonly leases: LeaseTable;
  readonly quarantine: ReturnType<typeof createQuarantine>;
  readonly now: () => Micros;
  readonly eventTtl: Micros;
  readonly maxAttempts: number;
  /** Called when a lease has become longer. */
  readonly onExtended: (leaseId: string, until: Micros) => void;
}

/** Ends and extends leases, within a transaction. Each function reads before it writes. */
export function createSettling(parts: SettlingParts) {
  const { lmdb, events, acknowledgements, leases, quarantine, now, eventTtl, maxAttempts } = parts;

  return {
    settle(tenant: string, settlement: Settlement): Settled {
      const { eventId, leaseId } = settlement;
      const place = events.find(tenant, eventId);
      if (place === undefined) return { outcome: 'missing' };
      // Throws where it is damaged.
      recordAt(place, eventId);
      const { sequence } = place;
      if (settlement.action === 'ack') return acknowledge(tenant, sequence, leaseId, settlement.at);
      const record = leases.at(sequence);
      if (record?.id !== leaseId || record.until <= now()) return { outcome: 'lost' };
      switch (settlement.action) {
        case 'extend':
          return extend(sequence, leaseId, record, settlement.leaseFor);
        case 'reject':
          return setAside(tenant, settlement, sequence, record);
        case 'release':
          return release(tenant, sequence, record, settlement);
      }
    },
  };

  function acknowledge(tenant: string, sequence: Sequence, leaseId: string, at: Micros): Settled {
    const done = doneAt(lmdb.done, sequence);
    if (done?.leaseId === leaseId) return { outcome: 'acknowledged', acknowledgedAt: done.at };
    if (leases.at(sequence)?.id !== leaseId) return { outcome: 'lost' };
    acknowledgements.acknowledgeNow(tenant, sequence, { at, leaseId });
    return { outcome: 'acknowledged', acknowledgedAt: at };
  }

  function extend(sequence: Sequence, leaseId: string, record: LeaseRecord, leaseFor: Micros): Settled {
    const until = Math.min(now() + leaseFor, sequence + eventTtl);
    leases.change(sequence, record, { ...record, until });
    parts.onExtended(leaseId, until);
    return { outcome: 'extended', until };
  }

  function setAside(
    tenant: string,
    { eventId, reason }: Pick<Settlement, 'eventId'> & { readonly reason: string | null },
    sequence: Sequence,
    { attempts, lastReason }: LeaseRecord,
  ): Settled {
    // What was read first is gone with the reads since.
    const event = events.get(tenant, eventId);
    if (event !== undefined) quarantine.enter(event, sequence, attempts, reason ?? lastReason);
    return { outcome: event === undefined ? 'missing' : 'quarantined' };
  }

  function release(
    tenant: string,
    sequence: Sequence,
    record: LeaseRecord,
    settlement: Settlement & { readonly action: 'release' },
  ): Settled {
    const { delay, failed, reason } = settlement;
    if (failed && isSpent(record.attempts, maxAttempts))
      return setAside(tenant, settlement, sequence, record);
    const attempts = failed ? record.attempts : record.attempts - 1;
    const told = { attempts, lastReason: reason ?? record.lastReason };
    leases.change(sequence, record, { ...record, id: null, until: now() + delay, ...told });
    return { outcome: 'released' };
  }
}

/** Puts an event back from quarantine, within a transaction. @param to the place that it gets. */
export function redriveNow(
  { lmdb, events, quarantine }: Pick<SettlingParts, 'lmdb' | 'events' | 'quarantine'>,
  tenant: string,
  id: string,
  to: Sequence,
): Redriven {
  const place = events.find(tenant, id);
  if (place === undefined) return { outcome: 'missing' };
  const event = decodeEvent(recordAt(place, id));
  const isHeld = quarantineAt(lmdb, tenant, place.sequence) !== undefined;
  if (isHeld) quarantine.leave(event, place.sequence, to);
  return { outcome: isHeld ? 'redriven' : 'missing' };
}
