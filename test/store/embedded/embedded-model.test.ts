import assert from 'node:assert';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { StoredEvent } from '../../../src/store/event.ts';
import type { PageRequest } from '../../../src/store/event-store.ts';
import { openTestStore, TTL } from '../../support/embedded.ts';

type Opened = Awaited<ReturnType<typeof openTestStore>>;

/** The store as a model of a few lines: a list in the order of the appends. */
interface Model {
  events: StoredEvent[];
}

/** One step against store and model; throws where they differ. */
type Step = (run: Run) => Promise<void>;

interface Run {
  opened: Opened;
  readonly model: Model;
  readonly reopen: () => Promise<Opened>;
}

const tenant = fc.constantFrom('a', 'ab');
const fields = fc.record({
  tenant,
  source: fc.constantFrom(null, 's', 'S', 'ü'),
  type: fc.constantFrom('t', 'tt'),
  payload: fc.constantFrom('{}', '{"k":"ü"}', `{"k":"${'x'.repeat(5_000)}"}`),
  metadata: fc.constantFrom(null, '{}'),
});
const filter = fc.record(
  { source: fc.constantFrom('s', 'S', 'ü', ''), type: fc.constantFrom('t', 'tt') },
  { requiredKeys: [] },
);
const index = fc.nat(30);

const steps: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(fc.array(fields, { minLength: 1, maxLength: 6 }), fc.boolean()).map(appendStep),
  },
  { weight: 4, arbitrary: fc.tuple(index, tenant).map(acknowledgeStep) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.uniqueArray(index, { maxLength: 6 }), tenant).map(acknowledgeManyStep),
  },
  { weight: 2, arbitrary: fc.tuple(index, tenant).map(removeStep) },
  { weight: 4, arbitrary: fc.tuple(tenant, fc.integer({ min: 1, max: 5 }), filter).map(walkStep) },
  { weight: 3, arbitrary: index.map(getStep) },
  { weight: 3, arbitrary: tenant.map(countStep) },
  { weight: 2, arbitrary: fc.constantFrom(TTL, TTL / 4, TTL / 2, 1).map(waitStep) },
  { weight: 1, arbitrary: fc.constant<Step>(({ opened }) => opened.store.sweep().then(() => undefined)) },
  { weight: 1, arbitrary: fc.constant<Step>(async (run) => void (run.opened = await run.reopen())) },
);

void t.test('any sequence of calls does what a plain list does', async (t) => {
  const root = t.testdir();
  await fc.assert(
    fc.asyncProperty(fc.array(steps, { minLength: 5, maxLength: 40 }), async (sequence) => {
      const path = mkdtempSync(join(root, 'run-'));
      const run: Run = {
        opened: await openTestStore(t, path),
        model: { events: [] },
        reopen: async () => {
          const { time } = run.opened.clock;
          await run.opened.store.close();
          const opened = await openTestStore(t, path);
          opened.clock.time = time;
          return opened;
        },
      };
      for (const step of sequence) await step(run);
      for (const name of ['a', 'ab']) {
        await countStep(name)(run);
        await walkStep([name, 50, {}])(run);
      }
      same(run.opened.damage, []);
      await run.opened.store.close();
    }),
    { numRuns: 100 },
  );
});

/** With ids of the store's own, or any. */
function appendStep([list, own]: [Partial<StoredEvent>[], boolean]): Step {
  return async ({ opened, model }) => {
    const events = list.map((one) => {
      const event = opened.event(one);
      return own ? { ...event, id: opened.store.newId(event.tenant, event.createdAt) } : event;
    });
    await Promise.all(events.map((event) => opened.store.append(event)));
    model.events.push(...events);
  };
}

function acknowledgeStep([index, tenant]: [number, string]): Step {
  return async (run) => {
    const event = pick(run, index);
    if (event === undefined) return;
    const at = ++run.opened.clock.time;
    checkAcknowledged(run, tenant, event, at, await run.opened.store.acknowledge(tenant, event.id, at));
  };
}

function acknowledgeManyStep([indexes, tenant]: [number[], string]): Step {
  return async (run) => {
    const events = [...new Set(indexes.flatMap((index) => pick(run, index) ?? []))];
    const at = ++run.opened.clock.time;
    const ids = events.map(({ id }) => id);
    const answers = await run.opened.store.acknowledgeMany(tenant, ids, at);
    same(answers.length, events.length);
    for (const [index, event] of events.entries()) checkAcknowledged(run, tenant, event, at, answers[index]);
  };
}

function checkAcknowledged(run: Run, tenant: string, event: StoredEvent, at: number, answer: unknown): void {
  if (event.tenant !== tenant || !isAlive(run, event)) same(answer, { outcome: 'missing' });
  else if (event.acknowledgedAt !== null)
    same(answer, { outcome: 'already', acknowledgedAt: event.acknowledgedAt });
  else {
    const acknowledged = { ...event, acknowledgedAt: at };
    same(answer, { outcome: 'acknowledged', acknowledgedAt: acknowledged.acknowledgedAt });
    run.model.events = run.model.events.map((one) => (one === event ? acknowledged : one));
  }
}

function removeStep([index, tenant]: [number, string]): Step {
  return async (run) => {
    const event = pick(run, index);
    if (event === undefined) return;
    const there = event.tenant === tenant && isAlive(run, event);
    same(await run.opened.store.remove(tenant, event.id), there);
    if (there) run.model.events = run.model.events.filter((one) => one !== event);
  };
}

function walkStep([tenant, limit, filter]: [string, number, Partial<PageRequest>]): Step {
  return async (run) => {
    const wanted = pendingOf(run, tenant).filter(
      ({ source, type }) => source === (filter.source ?? source) && type === (filter.type ?? type),
    );
    let after: string | null = null;
    for (let at = 0; ; at += limit) {
      const page = await run.opened.store.listPending(tenant, { limit, after, ...filter });
      same(page.events, wanted.slice(at, at + limit));
      same(page.next === null, at + limit >= wanted.length);
      if (page.next === null) return;
      after = page.next;
    }
  };
}

function getStep(index: number): Step {
  return async (run) => {
    const event = pick(run, index);
    if (event === undefined) return;
    same(await run.opened.store.get(event.tenant, event.id), isAlive(run, event) ? event : undefined);
    same(await run.opened.store.get('abc', event.id), undefined);
  };
}

function countStep(tenant: string): Step {
  return async (run) => {
    const count = pendingOf(run, tenant).length;
    same(await run.opened.store.countPending(tenant), { count, exact: true });
  };
}

function waitStep(time: number): Step {
  return ({ opened }) => {
    opened.clock.time += time;
    return Promise.resolve();
  };
}

function pick({ model }: Run, index: number): StoredEvent | undefined {
  return model.events[index % Math.max(1, model.events.length)];
}

function isAlive({ opened }: Run, event: StoredEvent): boolean {
  return event.createdAt + TTL > opened.clock.time;
}

function pendingOf(run: Run, tenant: string): StoredEvent[] {
  return run.model.events.filter(
    (event) => event.tenant === tenant && event.acknowledgedAt === null && isAlive(run, event),
  );
}

/** Throws, so that fast-check sees it and looks for a shorter sequence. */
function same(actual: unknown, wanted: unknown): void {
  assert.deepStrictEqual(actual, wanted);
}
