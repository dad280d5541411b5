import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { DEFAULT_LIMITS } from '../../../src/store/embedded/writer.ts';
import { openTestStore } from '../../support/embedded.ts';

void t.test(
  'events that tenants write by turns are all found, in order, by walks and after a restart',
  async (t) => {
    const path = t.testdir();
    const tenants = ['flood', 'other', 'third'];
    const limits = { ...DEFAULT_LIMITS, batchWrites: 8 };
    const { store, event } = await openTestStore(t, path, { limits });
    const sent = new Map<string, string[]>(tenants.map((tenant) => [tenant, []]));
    const walked = new Map<string, string[]>(tenants.map((tenant) => [tenant, []]));
    const stored: string[] = [];
    const writes: Promise<unknown>[] = [];
    for (let n = 0; n < 400; n++) {
      const tenant = n % 40 === 39 ? 'other' : n % 50 === 49 ? 'third' : 'flood';
      const one = event({ tenant });
      sent.get(tenant)?.push(one.id);
      writes.push(store.append(one).then(() => stored.push(tenant)));
    }
    const page = async (tenant: string, after: string | null) => {
      await nextTurn();
      return store.listPending(tenant, { limit: 7, after });
    };
    // Walks that begin while the events are written end with those that were there, so the next one goes on.
    const walks = tenants.map(async (tenant) => {
      const all = sent.get(tenant) ?? [];
      const seen = new Set<string>();
      while (seen.size < all.length) {
        for (let after: string | null = null; ;) {
          const { events, next } = await page(tenant, after);
          const ids = events.map(({ id }) => id);
          const from = all.indexOf(ids[0] ?? '');
          if (ids.length > 0) t.strictSame(ids, all.slice(from, from + ids.length), 'a part without a gap');
          for (const id of ids) seen.add(id);
          if (next === null) break;
          after = next;
        }
      }
      walked.get(tenant)?.push(...seen);
    });
    await Promise.all([...writes, ...walks]);
    t.ok(
      stored.lastIndexOf('other') < 60 && stored.lastIndexOf('third') < 60,
      'they did not wait for the flood',
    );
    t.same(walked, sent);
    await store.close();

    const again = await openTestStore(t, path);
    for (const [tenant, ids] of sent) {
      const { events } = await again.store.listPending(tenant, { limit: 1000, after: null });
      t.same(
        events.map(({ id }) => id),
        ids,
        tenant,
      );
    }
  },
);

void t.test(
  'a turn of the event loop that takes long is not taken for a disk that does not answer',
  async (t) => {
    const { store, event } = await openTestStore(t, t.testdir());
    // It has waited too long when its transaction begins.
    const late = t.rejects(store.append(event()), { name: 'StoreOverloadedError' });
    const end = performance.now() + 2_100;
    while (performance.now() < end);
    await store.ping();
    await late;
  },
);
