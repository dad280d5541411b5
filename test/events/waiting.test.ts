import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { AGAIN, createWaiting, type Place, type Wanted } from '../../src/events/waiting.ts';
import { StoreUnavailableError } from '../../src/store/store-errors.ts';
import { createWatchers } from '../../src/store/watchers.ts';

const LONG = 60_000;

const ALL: Wanted = { name: 'all', fits: () => true };
const wants = (type: string): Wanted => ({ name: type, fits: (event) => event.type === type });

/** A line of one tenant, and an inbox of texts that `look` takes from. */
function newLine(options: { placesPerKey?: number; lookEveryMs?: number } = {}) {
  const watchers = createWatchers();
  const waiting = createWaiting({ store: watchers, placesPerKey: 100, ...options });
  const inbox: string[] = [];
  let looks = 0;
  const join = (key = 'key'): Place => {
    const place = waiting.join('acme', key);
    if (place === undefined) throw new Error('no place');
    return place;
  };
  return {
    ...{ watchers, waiting, inbox, join },
    looks: () => looks,
    put: (...events: string[]) => {
      inbox.push(...events);
      watchers.tell('acme');
    },
    take: () => {
      looks++;
      return Promise.resolve(inbox.shift());
    },
  };
}

void t.test('one event wakes the one that has waited longest, and nobody else', async (t) => {
  const { join, take, put, looks, waiting } = newLine();
  const ended: string[] = [];
  const waits = ['first', 'second', 'third'].map(async (name) => {
    ended.push(`${name}: ${String(await join().wait(ALL, LONG, take))}`);
  });
  t.equal(waiting.size(), 3);
  t.equal(looks(), 0, 'they have looked before they wait');
  put('a');
  await sleep(5);
  t.same(ended, ['first: a']);
  t.equal(looks(), 2, 'the second finds nothing, so the third need not look');
  put('b', 'c');
  await Promise.all(waits);
  t.same(ended, ['first: a', 'second: b', 'third: c']);
  t.equal(waiting.size(), 0);
});

void t.test('those who want something else look for themselves', async (t) => {
  const { join, put, inbox } = newLine();
  const takeOnly = (wanted: string) => () => {
    const at = inbox.indexOf(wanted);
    return Promise.resolve(at === -1 ? undefined : inbox.splice(at, 1)[0]);
  };
  const forB = join().wait(wants('b'), LONG, takeOnly('b'));
  const forA = join().wait(wants('a'), LONG, takeOnly('a'));
  put('a');
  t.equal(await forA, 'a');
  put('b');
  t.equal(await forB, 'b');
});

void t.test('what comes between the first look and the wait is not missed', async (t) => {
  const { join, put, take } = newLine();
  const place = join();
  put('a');
  t.equal(await place.wait(ALL, LONG, take), 'a');
});

void t.test('news that come during a look lead to another one', async (t) => {
  const { join, watchers } = newLine();
  let looks = 0;
  const found = join().wait(ALL, LONG, async () => {
    looks++;
    if (looks === 1) watchers.tell('acme');
    await sleep(1);
    return looks === 1 ? undefined : 'a';
  });
  watchers.tell('acme');
  t.equal(await found, 'a');
});

void t.test('a wait ends when the time is up, when the place is left, and when all is closed', async (t) => {
  const { join, take, waiting, put, inbox } = newLine();
  t.equal(await join().wait(ALL, 5, take), undefined);
  t.equal(await join().wait(ALL, 0, take), undefined);
  const left = join();
  const leaving = left.wait(ALL, LONG, take);
  left.leave();
  left.leave();
  t.equal(await leaving, undefined);
  t.equal(await left.wait(ALL, LONG, take), undefined);
  const closing = join().wait(ALL, LONG, take);
  waiting.close();
  t.equal(await closing, undefined);
  const from = performance.now();
  t.equal(await join().wait(ALL, LONG, take), undefined);
  t.ok(performance.now() - from >= 900, 'later ones take a second, so that asking again is no load');
  put('a');
  await sleep(5);
  t.same(inbox, ['a'], 'nobody takes what nobody waits for');
});

void t.test('what a look finds when the time is up is not lost', async (t) => {
  const { join, watchers } = newLine();
  const place = join();
  let find: (found: string | undefined) => void = () => undefined;
  const looking = new Promise<string | undefined>((resolve) => (find = resolve));
  const found = place.wait(ALL, LONG, () => looking);
  watchers.tell('acme');
  place.leave();
  await sleep(5);
  find('a');
  t.equal(await found, 'a');
});

void t.test('a key has so many places', (t) => {
  const { waiting } = newLine({ placesPerKey: 2 });
  const first = waiting.join('acme', 'one');
  t.ok(waiting.join('other', 'one'));
  t.equal(waiting.join('acme', 'one'), undefined);
  t.ok(waiting.join('acme', 'two'));
  first?.leave();
  first?.leave();
  t.ok(waiting.join('acme', 'one'));
  t.equal(waiting.join('acme', 'one'), undefined);
  t.end();
});

void t.test('a store that has no answer is asked again; another error ends the wait', async (t) => {
  const { join, watchers } = newLine({ lookEveryMs: 5 });
  let looks = 0;
  const found = await join().wait(ALL, LONG, () => {
    looks++;
    return looks < 3 ? Promise.reject(new StoreUnavailableError('down')) : Promise.resolve('a');
  });
  t.equal(found, 'a', 'it looks without being told');
  const failing = join().wait(ALL, LONG, () => Promise.reject(new TypeError('a fault')));
  watchers.tell('acme');
  await t.rejects(failing, { message: 'a fault' });
});

void t.test('a hint makes only those look whom it fits', async (t) => {
  const { join, watchers } = newLine();
  const looked: string[] = [];
  const wait = (type: string) => {
    const place = join();
    void place.wait(wants(type), LONG, () => {
      looked.push(type);
      return Promise.resolve(undefined);
    });
    t.teardown(() => {
      place.leave();
    });
  };
  for (const type of ['a', 'b', 'c']) wait(type);
  watchers.tell('acme', { source: 's', type: 'b' });
  await sleep(5);
  t.same(looked, ['b']);
  watchers.tell('acme');
  await sleep(5);
  t.same(looked, ['b', 'a', 'b', 'c']);
});

void t.test('places with one key find the same, together', async (t) => {
  const { join, put, inbox } = newLine();
  let leased: string | undefined;
  const look = () => Promise.resolve((leased ??= inbox.shift()));
  const first = join().wait({ ...ALL, key: 'k' }, LONG, look);
  const between = join().wait(ALL, 50, () => Promise.resolve(inbox.shift()));
  const repeated = join().wait({ ...ALL, key: 'k' }, LONG, look);
  put('a');
  t.equal(await first, 'a');
  t.equal(await repeated, 'a');
  t.equal(await between, undefined);
});

void t.test('an error of one does not keep the others from looking', async (t) => {
  const { join, put, take } = newLine();
  const failing = join().wait(ALL, LONG, () => Promise.reject(new TypeError('a fault')));
  const next = join().wait(ALL, LONG, take);
  put('a');
  await t.rejects(failing, { message: 'a fault' });
  t.equal(await next, 'a');
});

void t.test('a look that has not looked everywhere is repeated, and keeps nobody from looking', async (t) => {
  const { join, watchers } = newLine();
  let looks = 0;
  const long = join().wait(wants('a'), LONG, () => Promise.resolve(++looks < 50 ? AGAIN : 'found at last'));
  const other = join().wait(wants('b'), LONG, () => Promise.resolve('b'));
  watchers.tell('acme');
  t.equal(await other, 'b');
  t.ok(looks < 5, 'in turns');
  t.equal(await long, 'found at last');
  t.equal(looks, 50);
  const first = await join().wait(ALL, LONG, () => Promise.resolve('more'), true);
  t.equal(first, 'more', 'also where the look before the wait was one of these');
});

void t.test('news of one group do not keep another from looking', async (t) => {
  const { join, watchers } = newLine();
  const place = join();
  const busy = place.wait(wants('a'), LONG, () => {
    watchers.tell('acme', { source: 's', type: 'a' });
    return Promise.resolve(undefined);
  });
  const other = join().wait(wants('b'), LONG, () => Promise.resolve('b'));
  watchers.tell('acme');
  t.equal(await other, 'b');
  place.leave();
  await busy;
});

void t.test('many looks let other work go on', async (t) => {
  const { join, watchers } = newLine();
  let isDone = false;
  const waits = Array.from({ length: 100 }, () =>
    join('key').wait(ALL, LONG, () => {
      for (const until = performance.now() + 1; performance.now() < until;);
      return Promise.resolve('seen');
    }),
  );
  void Promise.all(waits).then(() => (isDone = true));
  watchers.tell('acme');
  await new Promise(setImmediate);
  t.equal(isDone, false);
  await Promise.all(waits);
});

void t.test('nobody is watched for whom nobody waits', (t) => {
  const { join, watchers } = newLine();
  const [one, two] = [join(), join()];
  one.leave();
  t.equal(watchers.isWatched('acme'), true);
  two.leave();
  t.equal(watchers.isWatched('acme'), false);
  t.end();
});
