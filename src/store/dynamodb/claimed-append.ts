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

/** An event, with its payload in the form in which it is stored. */
export interface PackedEvent {
  readonly event: StoredEvent;
  readonly payload: string | Packed;
  /** Bytes of the payload's text. */
  readonly payloadBytes: number;
}

/**
 * Stores the event if it is the first with its claim: the claim is put, then the event, both on the condition that they do not
 * exist. Anything may happen between the two puts, for example the end of this process. So a caller that meets the claim of an
 * event that was never put completes it: it puts the event with the id and the time of the claim, and with its own text of the
 * same content. `docs/decisions/013-claims-without-transactions.md` argues why that is right, and
 * `test/model/claims-model.ts` tries every order.
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
 * An event that is completed later than this gets its lifetime and its place in the inbox from that moment: a place far in the
 * past would be behind every walk that is under way. Before that it keeps its place by `createdAt`, because its first writer may
 * still be putting it; that one gives up after 1.8 s.
 */
const LATE: Micros = 2e6;

/** As a part of an event's lifetime, for short ones: much of it must not be over when the event is completed. */
const LATE_PART = 1 / 1_000;
