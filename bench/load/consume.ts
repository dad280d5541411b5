import { setTimeout as sleep } from 'node:timers/promises';
import { bodyOf, exchange, openConnection, requestBytes, type Connection } from './connection.ts';
import type { Measurement, Target, Timed } from './job.ts';
import { createMeter, type Meter } from './measuring.ts';
import { CREATE } from './traffic.ts';

export interface Consume extends Target, Timed {
  /** Of a second instance over the same store: producers and consumers take turns between the two. */
  readonly otherUrl?: string;
  readonly consumers: number;
  /** Events that a lease call asks for, at most. */
  readonly limit: number;
  /** Events sent in a second. */
  readonly perSecond: number;
  /**
   * What is timed. `delivery`: from the 201 of an event to its arrival at a consumer that waits for it. `call`: lease calls that
   * need not wait, because so many are made that they take what is sent, with events waiting.
   */
  readonly timed: 'delivery' | 'call';
}

export interface Consumed extends Measurement {
  /** Events that were leased, in all. */
  readonly leased: number;
}

/** Events that wait when calls are timed, so that none finds less than it asks for. */
const BACKLOG_CALLS = 50;
/** Connections of the producer: one for each request under way. */
const PRODUCERS = 200;
/** How long consumers look for the rest when nothing is sent any more. */
const PATIENCE_MS = 15_000;

/** Producers and consumers at one time. It is an error if an event comes twice, or not at all. */
export async function runConsume(job: Consume): Promise<Consumed> {
  const meter = createMeter(job);
  const flow = new Flow(job, meter);
  const start = performance.now();
  const measureFrom = start + job.warmUpSeconds * 1000;
  const end = measureFrom + job.seconds * 1000;
  if (job.timed === 'call') await flow.produceBacklog(BACKLOG_CALLS * job.limit);
  const consumers = Array.from({ length: job.consumers }, (_, index) => flow.consume(index));
  const producing = flow.produce(end);
  await sleep(Math.max(0, measureFrom - performance.now()));
  meter.begin();
  await producing;
  const measured = meter.end();
  await flow.drain();
  await Promise.all(consumers);
  const lost = flow.sent - flow.taken.size;
  const wrong = flow.twice + lost;
  const firstError =
    measured.firstError ?? (wrong > 0 ? `${String(flow.twice)} twice, ${String(lost)} lost` : null);
  return { ...measured, firstError, errors: measured.errors + wrong, leased: flow.taken.size };
}

class Flow {
  sent = 0;
  twice = 0;
  /** Ids of events that came, and when. */
  readonly taken = new Map<string, number>();
  /** Ids of events that were stored, and when their 201 came. */
  readonly #stored = new Map<string, number>();
  readonly #job: Consume;
  readonly #meter: Meter;
  readonly #targets: readonly Target[];
  #isOver = false;

  constructor(job: Consume, meter: Meter) {
    this.#job = job;
    this.#meter = meter;
    this.#targets = [job, ...(job.otherUrl === undefined ? [] : [{ ...job, url: job.otherUrl }])];
  }

  /** An open loop, as `runSteady`. */
  async produce(end: number): Promise<void> {
    const requests = this.#targets.map((target) => requestBytes(target, CREATE));
    const idle = this.#targets.map(({ url }) => Array.from({ length: PRODUCERS }, () => openConnection(url)));
    const start = performance.now();
    const dueAt = (index: number): number => start + (index * 1000) / this.#job.perSecond;
    let underWay = 0;
    for (let next = 0; ;) {
      const now = performance.now();
      for (; dueAt(next) <= now && dueAt(next) < end; next++) {
        const side = next % this.#targets.length;
        const used = idle[side]?.pop();
        if (used === undefined) {
          this.#meter.failed('no connection was free to send an event');
          continue;
        }
        underWay++;
        void this.#send(used, requests[side] ?? Buffer.alloc(0)).then(() => {
          underWay--;
          idle[side]?.push(used);
        });
      }
      if (now >= end && underWay === 0) break;
      await sleep(1);
    }
    for (const connection of idle.flat()) connection.close();
  }

  async #send(connection: Connection, request: Buffer): Promise<void> {
    try {
      const { status, reply } = await exchange(connection, request);
      const { event_id: id } = JSON.parse(bodyOf(reply)) as { event_id: string };
      if (status !== CREATE.status) throw new Error(`answered ${String(status)}`);
      this.sent++;
      const now = performance.now();
      const takenAt = this.taken.get(id);
      if (takenAt === undefined) this.#stored.set(id, now);
      else if (this.#job.timed === 'delivery') this.#meter.answered(0);
    } catch (error) {
      this.#meter.failed(`POST /v1/events: ${String(error)}`);
    }
  }

  async produceBacklog(count: number): Promise<void> {
    const [target = this.#job] = this.#targets;
    const connection = openConnection(target.url);
    for (let sent = 0; sent < count; sent++) await this.#send(connection, requestBytes(target, CREATE));
    connection.close();
  }

  /** The loop of a worker: settles and leases in one call. */
  async consume(index: number): Promise<void> {
    const { limit, timed, consumers, perSecond } = this.#job;
    const target = this.#targets[index % this.#targets.length] ?? this.#job;
    const connection = openConnection(target.url);
    const everyMs = (1000 * consumers * limit) / perSecond;
    const start = performance.now() + (everyMs * index) / consumers;
    let tokens: readonly string[] = [];
    for (let call = 0; !this.#isOver || tokens.length > 0; call++) {
      const due = timed === 'call' ? start + call * everyMs : performance.now();
      await sleep(Math.max(0, due - performance.now()));
      const body = JSON.stringify({
        limit,
        settle: { ack: tokens },
        ...(timed === 'delivery' && { wait_seconds: 5 }),
      });
      const call_ = { method: 'POST', path: '/v1/inbox/lease', body, status: 200 } as const;
      try {
        const { status, reply } = await exchange(connection, requestBytes(target, call_));
        const now = performance.now();
        const text = bodyOf(reply);
        const isGood = status === 200 && !text.includes('"error"');
        if (timed === 'call') this.#meter.answered(now - due, isGood ? undefined : `answered ${text}`);
        else if (!isGood) this.#meter.failed(`answered ${text}`);
        const { events } = JSON.parse(text) as { events: { event_id: string; lease: { token: string } }[] };
        for (const { event_id } of events) this.#took(event_id, now);
        tokens = events.map(({ lease }) => lease.token);
      } catch (error) {
        this.#meter.failed(`POST /v1/inbox/lease: ${String(error)}`);
        tokens = [];
        await sleep(100);
      }
    }
    connection.close();
  }

  #took(id: string, now: number): void {
    if (this.taken.has(id)) {
      this.twice++;
      return;
    }
    this.taken.set(id, now);
    const storedAt = this.#stored.get(id);
    this.#stored.delete(id);
    // It may arrive before its 201 does.
    if (storedAt !== undefined && this.#job.timed === 'delivery') this.#meter.answered(now - storedAt);
  }

  /** Lets the consumers take what is left, and then end. */
  async drain(): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    while (this.taken.size < this.sent && performance.now() < until) await sleep(10);
    this.#isOver = true;
  }
}
