/**
 * The service on the embedded store, put together as `src/app.ts` does, with metrics that are switched on and off in turn while it
 * serves: for `npm run bench -- metrics`. When it ends it writes what each slice of time took to `SLICES_FILE`, as JSON.
 */
import { writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { readConfig } from '../../src/config.ts';
import { createClock } from '../../src/events/clock.ts';
import { requestLog } from '../../src/http/request-log.ts';
import { createServer } from '../../src/http/server.ts';
import { READY_PATH } from '../../src/http/v1/routes.ts';
import { createLog, infoWriter } from '../../src/log.ts';
import { createMetrics } from '../../src/metrics/metrics.ts';
import { CONTRACTS, createService } from '../../src/service.ts';
import type { EventStore } from '../../src/store/event-store.ts';
import { openStore } from '../../src/store/open-store.ts';
import type { StoreObserver } from '../../src/store/store-observer.ts';
import { seeded } from './random.ts';

/** A stretch of time during which the metrics were on or off. */
export interface Slice {
  /** `test`: on in one of the two slices of the pair. `control`: off in both, though one of them is called on. */
  readonly pair: 'test' | 'control';
  readonly called: 'on' | 'off';
  readonly events: number;
  /** CPU time of the process, in microseconds. */
  readonly cpu: number;
}

export interface Slices {
  readonly slices: readonly Slice[];
  /** Microseconds of CPU a second while nothing is asked, before and after metrics are served: what their timers take. */
  readonly idle: { readonly without: number; readonly with: number };
}

const SLICE_MS = 50;
const IDLE_MS = 4_000;

const config = readConfig(process.env);
const { logger } = await createLog('info');
const metrics = createMetrics(CONTRACTS);
let on = false;
let events = 0;

const onFatal = (error: Error): void => {
  throw error;
};
const clock = createClock();
const store = await openStore(config, {
  ...{ log: logger, onFatal, exclusive: true, create: true, clock },
  observer: switchedObserver(metrics.storeObserver),
});
const service = createService(config, {
  ...{ store, clock, logger, draining: () => false },
  counted: switchedStore,
  observeKey: (answer) => {
    if (on) metrics.observeKey(answer);
  },
});
const log = requestLog(logger, infoWriter(logger));
const server = createServer({
  ...{ dispatch: service.dispatch, corsOrigins: [], readyPath: READY_PATH, tls: null },
  onRequest(exchange) {
    if (on) metrics.http.onRequest(exchange);
    log.onRequest(exchange);
  },
  onResponse(exchange) {
    events++;
    if (on) metrics.http.onResponse(exchange);
    log.onResponse(exchange);
  },
});

const without = await idleCpu();
const served = await metrics.listen('127.0.0.1', 0, {
  ...{ store: 'embedded', version: '0', gauges: store.gauges, ready: () => store.ping() },
  ...{
    droppedLines: () => 0,
    now: () => clock.now(),
    monotonicMs: () => performance.now(),
    waits: service.waits,
  },
});
const idle = { without, with: await idleCpu() };
const slices: Slice[] = [];
const port = await server.listen('127.0.0.1', 0);
process.stdout.write(`${JSON.stringify({ msg: 'listening', url: `http://127.0.0.1:${String(port)}` })}\n`);

let running = true;
process.on('SIGTERM', () => (running = false));
await switchInTurn();
writeFileSync(process.env['SLICES_FILE'] ?? '', JSON.stringify({ slices, idle } satisfies Slices));
await server.drain(500);
await service.close();
await store.close();
await served.close();
process.exit(0);

/** Which slice of a pair comes first, and which pair is a control, is drawn. */
async function switchInTurn(): Promise<void> {
  const random = seeded(1);
  while (running) {
    const pair = random() < 0.5 ? 'test' : 'control';
    for (const called of random() < 0.5 ? (['on', 'off'] as const) : (['off', 'on'] as const)) {
      on = pair === 'test' && called === 'on';
      const before = { events, cpu: process.cpuUsage() };
      await sleep(SLICE_MS);
      const { user, system } = process.cpuUsage(before.cpu);
      slices.push({ pair, called, events: events - before.events, cpu: user + system });
    }
  }
}

async function idleCpu(): Promise<number> {
  const before = process.cpuUsage();
  await sleep(IDLE_MS);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1_000) / IDLE_MS;
}

function switchedStore(bare: EventStore, contract: string): EventStore {
  const counted = metrics.counted(bare, contract);
  return {
    ...bare,
    append: (event, claim) => (on ? counted : bare).append(event, claim),
  };
}

function switchedObserver(observer: StoreObserver): StoreObserver {
  return {
    committed(writes, milliseconds) {
      if (on) observer.committed(writes, milliseconds);
    },
    refused() {
      if (on) observer.refused();
    },
    expired(count) {
      if (on) observer.expired(count);
    },
    requested(request) {
      if (on) observer.requested(request);
    },
  };
}
