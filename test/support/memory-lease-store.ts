import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { Append, EventStore } from '../../src/store/event-store.ts';
import type { Micros, StoredEvent } from '../../src/store/event.ts';
import {
  LEASE_SKEW,
  type LeaseRequest,
  type LeaseStore,
  type Leased,
  type Redriven,
  type Settled,
  type Settlement,
} from '../../src/store/lease-store.ts';
import type { ModelPart } from '../contracts/lease-model.ts';
import { StoreUnavailableError } from '../../src/store/store-errors.ts';

/** Mistakes that an adapter could make, for tests that must find them. */
export const BUGS = [
  'two callers see one event as free',
  'a lease is over too early',
  'an acknowledgement counts though another has the event',
  'an acknowledged event comes back when its lease runs out',
  'a repeated call leases again',
  'a lease given back counts as an attempt',
  'a failed attempt is not counted',
  'attempts are lost when a lease runs out',
  'an event goes into quarantine one attempt too early',
  'an event is handed out once more than it may',
  'a quarantined event is handed out',
  'a redriven event keeps its attempts',
  'a redrive brings back what was acknowledged',
  'a released event is lost',
  'an extended lease is not extended',
  'a deleted event comes back',
  'an expired event is handed out',
  'filtered events are lost',
  'a late answer acknowledges what was released',
] as const;
export type Bug = (typeof BUGS)[number];

interface Row {
  event: StoredEvent;
  born: Micros;
  lease?: { id: string; until: Micros; over: boolean };
  callKey?: string;
  notBefore: Micros;
  attempts: number;
  lastReason: string | null;
  acknowledgedBy?: string;
}

export interface MemoryInbox {
  readonly rows: Map<string, Row>;
  readonly eventTtl: Micros;
  readonly maxAttempts: number;
  readonly bug?: Bug | undefined;
  /** Whether a call that arrives now fails: before it is carried out, or afterwards. */
  readonly fails: () => 'before' | 'after' | undefined;
}

let leases = 0;

/** One instance over an inbox in memory, of one tenant, with a clock of its own. The simplest code that keeps what the port says. */
export class MemoryLeaseStore implements LeaseStore, Pick<EventStore, ModelPart> {
  readonly #inbox: MemoryInbox;
  readonly #now: () => Micros;

  constructor(inbox: MemoryInbox, now: () => Micros) {
    this.#inbox = inbox;
    this.#now = now;
  }

  newId(): string {
    return randomUUID();
  }

  appendMany(_: string, appends: readonly Append[]) {
    return this.#call(() =>
      appends.map(({ event }) => {
        const row = { event, born: this.#now(), notBefore: 0, attempts: 0, lastReason: null };
        this.#inbox.rows.set(event.id, row);
        return { outcome: 'stored' } as const;
      }),
    );
  }

  get(_: string, id: string) {
    return Promise.resolve(this.#find(id)?.event);
  }

  listPending() {
    const rows = [...this.#inbox.rows.values()].filter((row) => this.#lives(row) && isPending(row));
    return Promise.resolve({ events: rows.map(({ event }) => event), next: null });
  }

  acknowledgeMany(_: string, ids: readonly string[], at: Micros, force = false) {
    return this.#call(() =>
      ids.map((id) => {
        const row = this.#find(id);
        if (row === undefined) return { outcome: 'missing' } as const;
        const { acknowledgedAt } = row.event;
        if (acknowledgedAt !== null) return { outcome: 'already', acknowledgedAt } as const;
        if (this.#isLeased(row) && !force) return { outcome: 'leased' } as const;
        row.event = { ...withoutQuarantine(row.event), acknowledgedAt: at };
        return { outcome: 'acknowledged', acknowledgedAt: at } as const;
      }),
    );
  }

  remove(_: string, id: string) {
    return this.#call(() => {
      const existed = this.#find(id) !== undefined;
      if (!this.#has('a deleted event comes back')) this.#inbox.rows.delete(id);
      return existed;
    });
  }

  lease(_: string, request: LeaseRequest) {
    return this.#call(async () => {
      const settled = (request.settle ?? []).map((settlement) => this.#settleOne(settlement));
      return { settled, leased: await this.#leaseNow(request) };
    });
  }

  settle(_: string, settlements: readonly Settlement[]) {
    return this.#call(() => settlements.map((settlement) => this.#settleOne(settlement)));
  }

  listQuarantined() {
    const events = [...this.#inbox.rows.values()].map(({ event }) => event);
    const quarantined = events.filter(({ quarantine }) => quarantine !== undefined);
    return Promise.resolve({ events: quarantined.slice(0, 3), next: null });
  }

  redrive(_: string, ids: readonly string[]) {
    return this.#call(() => ids.map((id) => this.#redriveOne(id)));
  }

  #redriveOne(id: string): Redriven {
    const row = this.#find(id);
    const isThere =
      row?.event.quarantine !== undefined ||
      (this.#has('a redrive brings back what was acknowledged') && row !== undefined && !this.#isLeased(row));
    if (row === undefined || !isThere) return { outcome: 'missing' };
    row.event = { ...withoutQuarantine(row.event), acknowledgedAt: null };
    if (!this.#has('a redriven event keeps its attempts')) row.attempts = 0;
    delete row.lease;
    Object.assign(row, { lastReason: null, notBefore: 0, born: this.#now() });
    return { outcome: 'redriven' };
  }

  #settleOne(settlement: Settlement): Settled {
    const row = this.#find(settlement.eventId);
    if (row === undefined) return { outcome: 'missing' };
    const { lease, event } = row;
    const mine = lease?.id === settlement.leaseId ? lease : undefined;
    if (settlement.action === 'ack') return this.#acknowledge(row, mine, settlement);
    if (mine === undefined || !this.#isLeased(row) || !isPending(row)) return { outcome: 'lost' };
    if (settlement.action === 'extend') {
      const until = Math.min(this.#now() + settlement.leaseFor, row.born + this.#inbox.eventTtl);
      if (!this.#has('an extended lease is not extended')) mine.until = until;
      return { outcome: 'extended', until };
    }
    row.lastReason = settlement.reason ?? row.lastReason;
    if (settlement.action === 'reject' || (settlement.failed && this.#isExhausted(row))) {
      this.#intoQuarantine(row);
      return { outcome: 'quarantined' };
    }
    mine.over = true;
    row.notBefore = this.#now() + settlement.delay;
    if (this.#has('a released event is lost')) this.#inbox.rows.delete(event.id);
    if (!settlement.failed && !this.#has('a lease given back counts as an attempt')) row.attempts -= 1;
    if (settlement.failed && this.#has('a failed attempt is not counted')) row.attempts -= 1;
    return { outcome: 'released' };
  }

  #acknowledge(row: Row, mine: Row['lease'], { leaseId, at }: { leaseId: string; at: Micros }): Settled {
    const { acknowledgedAt } = row.event;
    if (acknowledgedAt !== null) {
      return row.acknowledgedBy === leaseId
        ? { outcome: 'acknowledged', acknowledgedAt }
        : { outcome: 'lost' };
    }
    const ignored =
      this.#has('an acknowledgement counts though another has the event') ||
      (this.#has('a late answer acknowledges what was released') && mine !== undefined);
    if ((mine === undefined || mine.over) && !ignored) return { outcome: 'lost' };
    row.event = { ...row.event, acknowledgedAt: at };
    row.acknowledgedBy = leaseId;
    return { outcome: 'acknowledged', acknowledgedAt: at };
  }

  async #leaseNow(request: LeaseRequest): Promise<Leased[]> {
    const { leaseFor, callKey } = request;
    const again = [...this.#inbox.rows.values()].filter(
      (row) => callKey !== undefined && row.callKey === callKey && this.#isLeased(row) && isPending(row),
    );
    if (again.length > 0 && !this.#has('a repeated call leases again')) return again.map(asLeased);
    const free = this.#takeFree(request);
    if (this.#has('two callers see one event as free')) await turn();
    for (const row of free) {
      const ranOut = row.lease !== undefined && !row.lease.over;
      if (ranOut && this.#has('attempts are lost when a lease runs out')) row.attempts = 0;
      row.attempts += 1;
      row.lease = {
        id: (++leases).toString(16).padStart(32, '0'),
        until: Math.min(this.#now() + leaseFor, row.born + this.#inbox.eventTtl),
        over: false,
      };
      delete row.callKey;
      if (callKey !== undefined) row.callKey = callKey;
    }
    return free.map(asLeased);
  }

  #takeFree({ limit, source, type }: LeaseRequest): Row[] {
    const free: Row[] = [];
    for (const row of this.#inbox.rows.values()) {
      if (!this.#isFree(row) || free.length === limit) continue;
      const { event } = row;
      if ((source ?? event.source) !== event.source || (type ?? event.type) !== event.type) {
        if (this.#has('filtered events are lost')) this.#inbox.rows.delete(event.id);
      } else if (this.#isExhausted(row, this.#has('an event is handed out once more than it may') ? 1 : 0)) {
        this.#intoQuarantine(row);
      } else free.push(row);
    }
    return free;
  }

  #isFree(row: Row): boolean {
    const { lease, notBefore, event } = row;
    const mayBeEnded = this.#has('an acknowledged event comes back when its lease runs out');
    if (event.acknowledgedAt !== null && !mayBeEnded) return false;
    if (event.quarantine !== undefined && !this.#has('a quarantined event is handed out')) return false;
    if (!this.#lives(row) && !this.#has('an expired event is handed out')) return false;
    const skew = this.#has('a lease is over too early') ? -4e6 : LEASE_SKEW;
    return (
      notBefore <= this.#now() && (lease === undefined || lease.over || lease.until <= this.#now() - skew)
    );
  }

  #intoQuarantine(row: Row): void {
    const { attempts, lastReason } = row;
    row.event = { ...row.event, quarantine: { since: this.#now(), attempts, lastReason } };
    row.born = this.#now();
    if (row.lease !== undefined) row.lease.over = true;
  }

  #isExhausted({ attempts }: Row, more = 0): boolean {
    const { maxAttempts } = this.#inbox;
    const less = this.#has('an event goes into quarantine one attempt too early') ? 1 : 0;
    return maxAttempts > 0 && attempts >= maxAttempts - less + more;
  }

  #isLeased({ lease }: Row): boolean {
    return lease !== undefined && !lease.over && this.#now() < lease.until;
  }

  #find(id: string): Row | undefined {
    const row = this.#inbox.rows.get(id);
    return row !== undefined && this.#lives(row) ? row : undefined;
  }

  #lives({ born }: Row): boolean {
    return this.#now() < born + this.#inbox.eventTtl;
  }

  #has(bug: Bug): boolean {
    return this.#inbox.bug === bug;
  }

  /** As slow and as unreliable as the network. */
  async #call<T>(run: () => T | Promise<T>): Promise<T> {
    await turn();
    const fails = this.#inbox.fails();
    if (fails === 'before') throw new StoreUnavailableError('lost');
    const result = await run();
    await turn();
    if (fails === 'after') throw new StoreUnavailableError('lost');
    return result;
  }
}

function isPending({ event }: Row): boolean {
  return event.acknowledgedAt === null && event.quarantine === undefined;
}

function asLeased({ event, lease, attempts, lastReason }: Row): Leased {
  if (lease === undefined) throw new Error('not leased');
  return { event, lease: { id: lease.id, until: lease.until, attempt: attempts, lastReason } };
}

function withoutQuarantine(event: StoredEvent): StoredEvent {
  const copy: { quarantine?: StoredEvent['quarantine'] } & Omit<StoredEvent, 'quarantine'> = { ...event };
  delete copy.quarantine;
  return copy as StoredEvent;
}
