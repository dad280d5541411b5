import type { Micros, StoredEvent } from '../event.ts';
import type { Appended, Claim } from '../event-store.ts';
import { takeClaim } from './claims-table.ts';
import type { Packed } from './compression.ts';
import type { Deadline } from './deadline.ts';
import { putItemOnce, wasPut } from './events-table.ts';
import type { Table } from './table.ts';
import { toItem, type ItemOptions } from './event-item.ts';

export interface ClaimedAppendOptions extends ItemOptions {
  readonly claims: Table;
  readonly events: Table;
  readonly now: () => Micros;
}

/** An event with its payload as it is stored. */
export interface PackedEvent {
  readonly event: StoredEvent;
  readonly payload: string | Packed;
  /** Of the text. */
  readonly payloadBytes: number;
}

/**
 * Stores the event if it is the first to bring the claim: the claim is put, then the event, both on the condition that
 * they are not there. Between the two anything may happen, to us too; so whoever meets the claim of an event that was
 * never put puts it, with the id and the time that the claim says, and their own text of the same content. Why that is
 * right: `docs/decisions/013-claims-without-transactions.md`; `test/store/dynamodb/claims-model.test.ts` tries every order.
 */
export async function appendClaimed(
  options: ClaimedAppendOptions,
  { event, payload, payloadBytes }: PackedEvent,
  claim: Claim,
  deadline: Deadline,
): Promise<Appended> {
  const { claims, events, now, eventTtl } = options;
  const mine = { ...claim, eventId: event.id, createdAt: event.createdAt };
  for (;;) {
    const held = await takeClaim(claims, mine, deadline);
    if (held === undefined) continue;
    const { eventId: id, createdAt, expiresAt: claimExpiresAt } = held;
    const put = async (keptFrom: Micros | null) => {
      const claimed = { claimExpiresAt, keptFrom };
      const item = toItem({ ...event, id, createdAt }, payload, payloadBytes, options, claimed);
      await putItemOnce(events, item, deadline);
    };
    if (id === event.id) {
      await put(null);
      return { outcome: 'stored' };
    }
    if (held.fingerprint !== claim.fingerprint) return { outcome: 'conflict' };
    if (!(await wasPut(events, id, deadline))) {
      const time = now();
      await put(time - createdAt > Math.min(LATE, eventTtl * LATE_PART) ? time : null);
    }
    return { outcome: 'duplicate', id, createdAt };
  }
}

/**
 * An event that is completed later than this lives on from then, and is listed as of then: what is placed far into the past lies
 * behind every walk that is under way. Sooner, it keeps its place by `createdAt`: its first writer may be at it still, which
 * gives up when its call has had its time, 1.8 s.
 */
const LATE: Micros = 2e6;

/** Of the life of an event; where that is short, it must not be born half dead. */
const LATE_PART = 1 / 1_000;
