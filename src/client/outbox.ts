import { MOST_SETTLEMENTS, type Settlement } from './settle.ts';
import type { Slot } from './slot.ts';

/** A settlement that is to be sent, or is under way. */
export interface Pending<Payload> {
  readonly slot: Slot<Payload>;
  readonly settlement: Settlement;
  /** How often it failed for now. */
  readonly failed: number;
  /** An earlier request may have carried it out. */
  readonly isRepeated: boolean;
  /** When a request is made for it, if no other takes it along before. */
  readonly dueAt: number;
  /** When it may be sent. */
  readonly notBefore: number;
}

/** In this order the service answers. */
const PLACES = { ack: 0, release: 1, reject: 2, extend: 3 };

function placeOf({ settlement }: Pending<unknown>): number {
  return PLACES[settlement.action];
}

/** Settlements that wait for a request. Bounded by the slots: each has one at most. */
export class Outbox<Payload> {
  readonly #pending = new Map<Slot<Payload>, Pending<Payload>>();

  get size(): number {
    return this.#pending.size;
  }

  /** Takes the place of what the slot had: one token comes once in a request. */
  put(pending: Pending<Payload>): void {
    this.#pending.set(pending.slot, pending);
  }

  /** Forgets what the slot had. */
  drop(slot: Slot<Payload>): void {
    this.#pending.delete(slot);
  }

  /** Takes what may be sent now, up to one request, in the order of the results. */
  take(now: number, wanted: (settlement: Settlement) => boolean = () => true): Pending<Payload>[] {
    const taken: Pending<Payload>[] = [];
    for (const [slot, pending] of this.#pending) {
      if (taken.length === MOST_SETTLEMENTS) break;
      if (pending.notBefore > now || !wanted(pending.settlement)) continue;
      this.#pending.delete(slot);
      taken.push(pending);
    }
    return taken.sort((a, b) => placeOf(a) - placeOf(b));
  }

  /** When something must go; `Infinity` where there is nothing. */
  dueAt(): number {
    let due = Infinity;
    for (const { dueAt, notBefore } of this.#pending.values())
      due = Math.min(due, Math.max(dueAt, notBefore));
    return due;
  }
}
