import type { Acknowledgement, Failed } from '../../src/store/event-store.ts';
import type { Micros, StoredEvent } from '../../src/store/event.ts';
import type { Leased, Redriven, Settled, Settlement } from '../../src/store/lease-store.ts';

interface Known {
  readonly id: string;
  /** When its life began; a redrive or a quarantine begins another. It is between these two. */
  born: { least: Micros; most: Micros };
  /** The round since which it is certainly stored. */
  sure: number | undefined;
  /** The round in which the answer came that it is acknowledged or deleted. */
  ended?: { readonly round: number; readonly as: 'acknowledged' | 'deleted' };
  maybeEnded: boolean;
  quarantined?: { readonly round: number };
  maybeQuarantined: boolean;
  /** The round of the last answer that it was redriven. */
  redriven?: number;
  /** The last lease that was handed out. */
  holder?: Holder;
  /** Attempts that are counted, the one under way included. */
  attempts: { least: number; most: number };
}

interface Holder {
  readonly leaseId: string;
  readonly round: number;
  readonly attempt: number;
  /** By the time of nobody's clock. */
  until: Micros;
  /** `until` as it was when it was handed out, or earlier if the lease was made shorter. */
  repeatableUntil: Micros;
  /** It may have been settled. */
  over: boolean;
  /** The round of the last answer that it was extended. */
  extended?: number;
}

interface Answers {
  /** The last round in which such a call was answered. */
  readonly round: number;
  /** Leases of that round, with their events. */
  readonly leases: ReadonlyMap<string, string>;
  /** Leases of all rounds. */
  readonly ever: ReadonlySet<string>;
}

export interface Promises {
  readonly eventTtl: Micros;
  readonly maxAttempts: number;
  /** By how much clocks of instances may be wrong. */
  readonly offBy: Micros;
}

/**
 * Watches what callers of one tenant's inbox are told, and says where it contradicts what leases promise. Time stands still within a
 * round, and calls of one round run at once, in an order that nobody knows and in which their answers need not come: so what is
 * known of an event holds from the next round on, and new leases and refusals are judged when the round is over.
 * A call that failed may have been carried out or not, at once or later.
 */
export class LeaseOracle {
  /** What contradicted a promise, in words. */
  readonly violations: string[] = [];
  readonly #promises: Promises;
  readonly #known = new Map<string, Known>();
  /** Calls that were answered, by call key. */
  readonly #calls = new Map<string, Answers>();
  /** What is compared once all calls of the round have been answered, because others may have ended leases. */
  readonly #atEnd: (() => void)[] = [];
  readonly #grants: (() => void)[] = [];
  #round = 0;
  #now: Micros = 0;

  constructor(promises: Promises) {
    this.#promises = promises;
  }

  /** Ids of events that may be there. */
  ids(): readonly string[] {
    return [...this.#known.keys()];
  }

  beginRound(round: number, now: Micros): void {
    this.#round = round;
    this.#now = now;
  }

  /** To be called when all calls of the round have been answered. */
  endRound(): void {
    for (const grant of this.#grants.splice(0)) grant();
    for (const check of this.#atEnd.splice(0)) check();
  }

  /** @param stored whether the store said so; false: it may be stored. */
  appended({ id }: StoredEvent, stored: boolean): void {
    const sure = stored ? this.#round : undefined;
    const known = this.#known.get(id);
    // Others may have been told about it before its producer was.
    if (known !== undefined) known.sure ??= sure;
    else {
      this.#known.set(id, {
        ...{ id, born: this.#since(), sure, maybeEnded: false, maybeQuarantined: false },
        attempts: { least: 0, most: 0 },
      });
    }
  }

  /**
   * @param offset by how much the clock of the instance that was asked is ahead.
   * @param callKey of the request.
   */
  leased(all: readonly Leased[], offset: Micros, callKey?: string): void {
    if (callKey !== undefined) this.#answered(callKey, all);
    const ids = new Set(all.map(({ event }) => event.id));
    if (ids.size !== all.length) this.#violated('an answer', 'has an event twice');
    for (const one of all) {
      const event = this.#known.get(one.event.id);
      if (event === undefined) this.#violated(one.event.id, 'leased, though nobody stored it');
      else {
        this.#grants.push(() => {
          this.#granted(event, one, offset);
        });
      }
    }
  }

  #answered(callKey: string, all: readonly Leased[]): void {
    const before = this.#calls.get(callKey);
    const ids = new Map(all.map(({ event, lease }) => [lease.id, event.id]));
    if (before !== undefined && before.round < this.#round) {
      this.#atEnd.push(() => {
        const stillRun = [...before.leases].some(([leaseId, id]) => this.#surelyRuns(id, leaseId));
        const isNew = [...ids.keys()].some((leaseId) => !before.ever.has(leaseId));
        if (stillRun && isNew) this.#violated('a call', 'leases anew when it is repeated');
      });
    }
    const together = before?.round === this.#round ? before.leases : [];
    this.#calls.set(callKey, {
      ...{ round: this.#round, leases: new Map([...together, ...ids]) },
      ever: new Set([...(before?.ever ?? []), ...ids.keys()]),
    });
  }

  #surelyRuns(id: string, leaseId: string): boolean {
    const event = this.#known.get(id);
    const { holder } = event ?? {};
    if (event === undefined || holder?.leaseId !== leaseId || holder.over || event.ended || event.maybeEnded)
      return false;
    if (event.quarantined !== undefined || event.maybeQuarantined) return false;
    // Extended in this round, it may have run out before, by the clock of the instance that was asked.
    const until = Math.min(holder.until, holder.repeatableUntil);
    return holder.extended !== this.#round && this.#now < until - 2 * this.#promises.offBy;
  }

  #granted(event: Known, { lease }: Leased, offset: Micros): void {
    const { id, holder, ended, quarantined } = event;
    const { maxAttempts, eventTtl, offBy } = this.#promises;
    if (holder?.leaseId === lease.id) {
      if (holder.attempt !== lease.attempt) this.#violated(id, 'a repeated call gets another attempt');
      return;
    }
    if (ended !== undefined && ended.round < this.#round) this.#violated(id, `leased, though ${ended.as}`);
    if (quarantined !== undefined && quarantined.round < this.#round)
      this.#violated(id, 'leased, though in quarantine');
    if (holder !== undefined && !holder.over && this.#now < holder.until) {
      this.#violated(id, `leased by two at once, since round ${String(holder.round)}`);
    }
    const { least, most } = event.attempts;
    if (lease.attempt < least + 1 || lease.attempt > most + 1) {
      this.#violated(id, `attempt ${String(lease.attempt)} after ${String(least)} to ${String(most)}`);
    }
    if (maxAttempts > 0 && lease.attempt > maxAttempts)
      this.#violated(id, `attempt ${String(lease.attempt)} is too many`);
    if (this.#now >= event.born.most + eventTtl + 2 * offBy) this.#violated(id, 'leased, though expired');
    event.attempts = { least: lease.attempt, most: lease.attempt };
    event.sure ??= this.#round;
    event.holder = {
      ...{ leaseId: lease.id, round: this.#round, attempt: lease.attempt },
      ...{ until: lease.until - offset, repeatableUntil: lease.until - offset, over: false },
    };
  }

  /** A call to lease failed: any event may have been leased, and given back. */
  leaseFailed(callKey?: string): void {
    if (callKey !== undefined) this.#calls.delete(callKey);
    const { maxAttempts } = this.#promises;
    for (const event of this.#known.values()) {
      event.attempts.most += 1;
      event.maybeQuarantined ||= maxAttempts > 0 && event.attempts.most >= maxAttempts;
    }
  }

  settled(settlement: Settlement, result: Settled | Failed): void {
    const event = this.#known.get(settlement.eventId);
    if (event === undefined) return;
    const { holder } = event;
    const mine = holder?.leaseId === settlement.leaseId ? holder : undefined;
    switch (result.outcome) {
      case 'acknowledged':
        this.#acknowledgedBy(event, mine);
        return;
      case 'quarantined':
        this.#quarantined(event, settlement);
        return;
      case 'lost':
      case 'missing':
        if (mine !== undefined) {
          const { outcome } = result;
          this.#atEnd.push(() => {
            this.#refused(event, mine, settlement, outcome);
          });
        }
        return;
      case 'extended':
        if (mine !== undefined) this.#extended(mine, result.until - this.#promises.offBy);
        return;
      case 'released':
        if (mine !== undefined) ended(event, mine, settlement, true);
        return;
      case 'failed':
        this.#maybe(event, mine, settlement);
    }
  }

  #extended(mine: Holder, until: Micros): void {
    mine.until = mine.extended === this.#round ? Math.min(mine.until, until) : until;
    mine.extended = this.#round;
  }

  #acknowledgedBy(event: Known, mine: Holder | undefined): void {
    // Whoever has it now got it by another lease.
    if (
      mine === undefined &&
      event.holder !== undefined &&
      event.holder.round < this.#round &&
      !event.maybeEnded
    ) {
      this.#violated(event.id, 'acknowledged with a lease that is not the last');
    }
    event.ended ??= { round: this.#round, as: 'acknowledged' };
  }

  #quarantined(event: Known, settlement: Settlement): void {
    // Of two answers of one round nobody knows which tells the last.
    if (event.redriven === this.#round) event.maybeQuarantined = true;
    else event.quarantined = { round: this.#round };
    event.born = this.#since();
    if (settlement.action === 'release' && event.attempts.most < this.#promises.maxAttempts) {
      this.#violated(event.id, 'in quarantine before its last attempt');
    }
  }

  #refused(event: Known, mine: Holder, { action }: Settlement, outcome: string): void {
    if (event.holder !== mine || mine.over || event.ended !== undefined || event.maybeEnded) return;
    if (event.quarantined !== undefined || event.maybeQuarantined || this.#mayHaveExpired(event)) return;
    if (mine.round < this.#round && this.#now < mine.until - 2 * this.#promises.offBy) {
      this.#violated(event.id, `${action}: ${outcome}, though the lease runs`);
    }
  }

  #maybe(event: Known, mine: Holder | undefined, settlement: Settlement): void {
    if (settlement.action === 'ack') event.maybeEnded = true;
    if (settlement.action === 'reject' || (settlement.action === 'release' && settlement.failed)) {
      event.maybeQuarantined = true;
    }
    if (mine === undefined) return;
    if (settlement.action === 'extend') {
      mine.until = Math.min(mine.until, this.#now + settlement.leaseFor - this.#promises.offBy);
    } else ended(event, mine, settlement, false);
  }

  acknowledged(id: string, result: Acknowledgement | { readonly outcome: 'leased' } | Failed): void {
    const event = this.#known.get(id);
    if (event === undefined) return;
    switch (result.outcome) {
      case 'failed':
        event.maybeEnded = true;
        return;
      case 'acknowledged':
        if (event.ended !== undefined && event.ended.round < this.#round)
          this.#violated(id, 'acknowledged a second time');
        if (event.ended?.as !== 'deleted') event.ended = { round: this.#round, as: 'acknowledged' };
        return;
      case 'already':
        event.ended ??= { round: this.#round, as: 'acknowledged' };
        return;
      case 'missing':
        this.#atEnd.push(() => {
          const isThere = event.sure !== undefined && event.sure < this.#round;
          if (isThere && event.ended === undefined && !event.maybeEnded && !this.#mayHaveExpired(event)) {
            this.#violated(id, 'missing, though stored');
          }
        });
        return;
      case 'leased':
        this.#atEnd.push(() => {
          if (event.holder === undefined && event.attempts.most === 0) {
            this.#violated(id, 'said to be leased, though nobody leased it');
          }
        });
    }
  }

  /** @param existed undefined: the call failed. */
  removed(id: string, existed: boolean | undefined): void {
    const event = this.#known.get(id);
    if (event === undefined) return;
    if (existed === undefined) event.maybeEnded = true;
    // One that is appended in this round may come after a removal that found nothing.
    else if (existed || (event.sure !== undefined && event.sure < this.#round)) {
      event.ended = { round: this.#round, as: 'deleted' };
    }
  }

  redriven(id: string, { outcome }: Redriven | Failed): void {
    const event = this.#known.get(id);
    if (event === undefined || outcome === 'missing') return;
    if (outcome === 'redriven' && event.ended !== undefined && event.ended.round < this.#round) {
      this.#violated(id, `redriven, though ${event.ended.as}`);
    }
    if (outcome === 'failed') event.maybeQuarantined ||= event.quarantined !== undefined;
    event.redriven = this.#round;
    delete event.quarantined;
    event.born.most = this.#now;
    if (outcome === 'failed') {
      event.attempts.least = 0;
      if (event.holder !== undefined) event.holder.over = true;
      return;
    }
    event.born.least = this.#now;
    event.maybeQuarantined = false;
    delete event.holder;
    event.attempts = { least: 0, most: 0 };
  }

  /** What `get` says of an event once nothing is under way any more. */
  stored(id: string, found: StoredEvent | undefined): void {
    const event = this.#known.get(id);
    if (event === undefined) return;
    const { ended: end, attempts, sure } = event;
    if (found === undefined) {
      const mayBeGone =
        end?.as === 'deleted' || event.maybeEnded || sure === undefined || this.#mayHaveExpired(event);
      if (!mayBeGone) this.#violated(id, 'lost');
      return;
    }
    if (end?.as === 'deleted') this.#violated(id, 'there, though deleted');
    if (end?.as === 'acknowledged' && found.acknowledgedAt === null)
      this.#violated(id, 'pending, though acknowledged');
    const { quarantine } = found;
    if (quarantine === undefined) return;
    const { maxAttempts } = this.#promises;
    const rejected = event.quarantined !== undefined || event.maybeQuarantined;
    if (!rejected && (maxAttempts === 0 || attempts.most < maxAttempts)) {
      this.#violated(id, 'in quarantine for no reason');
    }
    if (quarantine.attempts > attempts.most) {
      this.#violated(id, `${String(quarantine.attempts)} attempts instead of ${String(attempts.most)}`);
    }
  }

  stillPending(id: string): void {
    this.#violated(id, 'pending after the inbox was drained');
  }

  #since(): Known['born'] {
    return { least: this.#now, most: this.#now };
  }

  #mayHaveExpired({ born }: Known): boolean {
    const { eventTtl, offBy } = this.#promises;
    return this.#now >= born.least + eventTtl - 2 * offBy;
  }

  #violated(id: string, what: string): void {
    this.violations.push(`round ${String(this.#round)}, ${id}: ${what}`);
  }
}

/** The lease is over, for sure or maybe, and its attempt is counted or given back. */
function ended(event: Known, mine: Holder, settlement: Settlement, sure: boolean): void {
  mine.over = true;
  if (settlement.action !== 'release' || settlement.failed) return;
  const { least, most } = event.attempts;
  // What was leased by calls that failed is counted still.
  event.attempts = { least: Math.min(least, mine.attempt - 1), most: sure ? most - 1 : most };
}
