/**
 * Leases under a random load: several consumers on one or more instances whose clocks differ, with answers that are lost or
 * late, while time passes. `lease-oracle.ts` says what contradicts the promises.
 */
import { seeded, type Random } from '../../bench/harness/random.ts';
import { sampleEvent } from '../../bench/harness/event.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import type { Micros, StoredEvent } from '../../src/store/event.ts';
import type { Leased, LeaseStore, Settlement } from '../../src/store/lease-store.ts';
import { at } from './store-world.ts';
import { LeaseOracle, type Promises } from './lease-oracle.ts';

const TENANT = 'acme';
const SECOND: Micros = 1e6;

/** What of an event store the model calls. */
export type ModelPart = 'newId' | 'appendMany' | 'get' | 'listPending' | 'acknowledgeMany' | 'remove';

export interface Instance {
  readonly store: Pick<EventStore, ModelPart> & LeaseStore;
  /** By how much its clock is ahead; negative: behind. */
  readonly offset: Micros;
}

export interface ModelWorld extends Promises {
  readonly instances: () => readonly Instance[];
  now(): Micros;
  advance(by: Micros): void;
  /** Called before each round. Lets some of the round's requests go wrong; the returned function ends that. */
  readonly disturb?: (random: Random) => () => void;
  /** Called between rounds now and then: ends an instance and starts it again. */
  readonly restart?: () => Promise<void>;
  /** Lets the index catch up, so that a last walk sees everything. */
  readonly settle?: () => Promise<void>;
}

export interface ModelResult {
  readonly violations: readonly string[];
  /** How often each outcome came, to show that the load reaches all of them. */
  readonly seen: ReadonlyMap<string, number>;
}

/** Runs so many rounds, then lets consumers drain the inbox, and looks at every event. */
export async function runLeaseModel(world: ModelWorld, seed: number, rounds: number): Promise<ModelResult> {
  const random = seeded(seed);
  const oracle = new LeaseOracle(world);
  const callers = new Callers(world, random, oracle);
  for (let round = 1; round <= rounds; round++) {
    oracle.beginRound(round, world.now());
    const calm = world.disturb?.(random);
    await Promise.all(Array.from({ length: 1 + below(random, 6) }, () => callers.act()));
    calm?.();
    oracle.endRound();
    world.advance(oneOf(random, [0, 1, SECOND, 4 * SECOND, 20 * SECOND, 90 * SECOND]));
    if (world.restart !== undefined && random() < 0.03) await world.restart();
  }
  await drain(world, oracle, rounds, () => callers.drainOnce());
  return { violations: oracle.violations, seen: callers.seen };
}

async function drain(
  world: ModelWorld,
  oracle: LeaseOracle,
  rounds: number,
  drainOnce: () => Promise<number>,
) {
  let empty = 0;
  // Longer than any lease and any delay.
  for (let round = rounds + 1; empty < 10; round++) {
    world.advance(40 * SECOND);
    oracle.beginRound(round, world.now());
    empty = (await drainOnce()) === 0 ? empty + 1 : 0;
    oracle.endRound();
    await world.settle?.();
  }
  const [instance] = world.instances();
  if (instance === undefined) throw new Error('no instance');
  for (const id of oracle.ids()) oracle.stored(id, await instance.store.get(TENANT, id));
  const { events } = await instance.store.listPending(TENANT, { limit: 100, after: null });
  for (const { id } of events) oracle.stillPending(id);
}

/** Consumers and producers, who remember the leases that they hold. */
class Callers {
  readonly seen = new Map<string, number>();
  readonly #world: ModelWorld;
  readonly #random: Random;
  readonly #oracle: LeaseOracle;
  /** Leases that callers hold, and some that they held. */
  readonly #held: Leased[] = [];
  #made = 0;

  constructor(world: ModelWorld, random: Random, oracle: LeaseOracle) {
    this.#world = world;
    this.#random = random;
    this.#oracle = oracle;
  }

  act(): Promise<void> {
    const acts = [
      ...[this.#lease, this.#lease, this.#lease, this.#lease, this.#settle, this.#settle, this.#settle],
      ...[this.#append, this.#append, this.#acknowledge, this.#remove, this.#redrive],
    ];
    return oneOf(this.#random, acts).call(this);
  }

  /** Leases what there is, and acknowledges it. Resolves with the number. */
  async drainOnce(): Promise<number> {
    const { store, offset } = this.#instance();
    const { leased } = await store.lease(TENANT, { limit: 100, leaseFor: 10 * SECOND });
    this.#oracle.leased(leased, offset);
    this.#oracle.endRound();
    const all = leased.map((one): Settlement => ({ action: 'ack', ...idsOf(one), at: this.#time() }));
    this.#report(all, all.length === 0 ? [] : await store.settle(TENANT, all));
    return leased.length;
  }

  async #lease(): Promise<void> {
    const { store, offset } = this.#instance();
    const random = this.#random;
    const settle = this.#settlements(3);
    const request = {
      limit: 1 + below(random, 4),
      leaseFor: oneOf(random, [5, 60, 120]) * SECOND,
      settle,
      ...(random() < 0.2 ? { callKey: oneOf(random, CALL_KEYS) } : {}),
      ...(random() < 0.2 ? { type: 'rare' } : {}),
    };
    try {
      const { leased, settled } = await store.lease(TENANT, request);
      this.#report(settle, settled);
      this.#oracle.leased(leased, offset, request.callKey);
      this.#saw(leased.length === 0 ? 'nothing leased' : 'leased');
      this.#held.push(...leased);
    } catch (error) {
      this.#oracle.leaseFailed(request.callKey);
      this.#report(settle, failures(settle, error));
      this.#saw('lease failed');
    }
  }

  async #settle(): Promise<void> {
    const all = this.#settlements(4);
    const { store } = this.#instance();
    this.#report(all, await store.settle(TENANT, all).catch((error: unknown) => failures(all, error)));
  }

  #settlements(most: number): Settlement[] {
    const found = new Map<string, Settlement>();
    for (let n = below(this.#random, most + 1); n > 0 && this.#held.length > 0; n--) {
      const index = below(this.#random, this.#held.length);
      const one = this.#held[index] as Leased;
      // Some stay, so that leases are settled twice and too late.
      if (this.#random() < 0.7) this.#held.splice(index, 1);
      if (!found.has(one.event.id)) found.set(one.event.id, settlementFor(this.#random, one, this.#time()));
    }
    return [...found.values()];
  }

  #report(settle: readonly Settlement[], results: Awaited<ReturnType<LeaseStore['settle']>>): void {
    for (const [settlement, result] of pairs(settle, results)) {
      this.#saw(`${settlement.action}: ${result.outcome}`);
      this.#oracle.settled(settlement, result);
    }
  }

  async #append(): Promise<void> {
    const { store } = this.#instance();
    const events = Array.from({ length: 1 + below(this.#random, 4) }, (): StoredEvent => {
      const event = sampleEvent(this.#time(), {
        type: this.#random() < 0.3 ? 'rare' : 'usual',
        tenant: TENANT,
      });
      return this.#random() < 0.5 ? { ...event, id: store.newId(TENANT, event.createdAt) } : event;
    });
    for (const event of events) this.#oracle.appended(event, false);
    const appends = events.map((event) => ({ event }));
    const results = await store
      .appendMany(TENANT, appends)
      .catch((error: unknown) => failures(events, error));
    for (const [event, { outcome }] of pairs(events, results)) {
      this.#saw(`append: ${outcome}`);
      if (outcome === 'stored') this.#oracle.appended(event, true);
    }
  }

  async #acknowledge(): Promise<void> {
    const ids = [...new Set([this.#anyId(), this.#anyId()])];
    const results = await this.#instance()
      .store.acknowledgeMany(TENANT, ids, this.#time(), this.#random() < 0.3)
      .catch((error: unknown) => failures(ids, error));
    for (const [id, result] of pairs(ids, results)) {
      this.#saw(`acknowledge: ${result.outcome}`);
      this.#oracle.acknowledged(id, result);
    }
  }

  async #remove(): Promise<void> {
    const id = this.#anyId();
    const existed = await this.#instance()
      .store.remove(TENANT, id)
      .catch(() => undefined);
    this.#saw(`remove: ${String(existed)}`);
    this.#oracle.removed(id, existed);
  }

  async #redrive(): Promise<void> {
    const { store } = this.#instance();
    const page = await store.listQuarantined(TENANT, { limit: 3, after: null }).catch(() => undefined);
    const ids = [...new Set([...(page?.events ?? []).map(({ id }) => id), this.#anyId()])];
    const results = await store.redrive(TENANT, ids).catch((error: unknown) => failures(ids, error));
    for (const [id, result] of pairs(ids, results)) {
      this.#saw(`redrive: ${result.outcome}`);
      this.#oracle.redriven(id, result);
    }
  }

  #instance(): Instance {
    return oneOf(this.#random, this.#world.instances());
  }

  #anyId(): string {
    const ids = this.#oracle.ids();
    return ids.length === 0 ? 'none' : oneOf(this.#random, ids.slice(-30));
  }

  /** Unlike any other. */
  #time(): Micros {
    return this.#world.now() + ++this.#made;
  }

  #saw(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }
}

const CALL_KEYS = ['a', 'b', 'c'].map((letter) => letter.repeat(64));

function settlementFor(random: Random, leased: Leased, at: Micros): Settlement {
  const ids = idsOf(leased);
  const reason = random() < 0.5 ? `reason ${String(at)}` : null;
  const draw = random();
  if (draw < 0.4) return { action: 'ack', ...ids, at };
  if (draw < 0.75) {
    const delay = oneOf(random, [0, 0, 30 * SECOND]);
    return { action: 'release', ...ids, delay, failed: random() < 0.6, reason };
  }
  if (draw < 0.82) return { action: 'reject', ...ids, reason };
  return { action: 'extend', ...ids, leaseFor: oneOf(random, [1, 60, 300]) * SECOND };
}

function idsOf({ event, lease }: Leased) {
  return { eventId: event.id, leaseId: lease.id };
}

function failures(items: readonly unknown[], reason: unknown) {
  const error = reason instanceof Error ? reason : new Error(String(reason));
  return items.map(() => ({ outcome: 'failed', error }) as const);
}

function pairs<Item, Result>(items: readonly Item[], results: readonly Result[]): [Item, Result][] {
  return items.map((item, index) => [item, at(results, index)]);
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit);
}

function oneOf<Item>(random: Random, items: readonly Item[]): Item {
  return items[below(random, items.length)] as Item;
}
