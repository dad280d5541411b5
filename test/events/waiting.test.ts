import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { createWaiting, type Place } from '../../src/events/waiting.ts';
import { StoreUnavailableError } from '../../src/store/store-errors.ts';
import { createWatchers } from '../../src/store/watchers.ts';

const LONG = 60_000;

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
    ended.push(`${name}: ${String(await join().wait('all', LONG, take))}`);
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
  const forB = join().wait('b', LONG, takeOnly('b'));
  const forA = join().wait('a', LONG, takeOnly('a'));
  put('a');
  t.equal(await forA, 'a');
  put('b');
  t.equal(await forB, 'b');
});

void t.test('what comes between the first look and the wait is not missed', async (t) => {
  const { join, put, take } = newLine();
  const place = join();
  put('a');
  t.equal(await place.wait('all', LONG, take), 'a');
});

void t.test('news that come during a look lead to another one', async (t) => {
  const { join, watchers } = newLine();
  let looks = 0;
  const found = join().wait('all', LONG, async () => {
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
  t.equal(await join().wait('all', 5, take), undefined);
  t.equal(await join().wait('all', 0, take), undefined);
  const left = join();
  const leaving = left.wait('all', LONG, take);
  left.leave();
  left.leave();
  t.equal(await leaving, undefined);
  t.equal(await left.wait('all', LONG, take), undefined);
  const closing = join().wait('all', LONG, take);
  waiting.close();
  t.equal(await closing, undefined);
  t.equal(await join().wait('all', LONG, take), undefined);
  put('a');
  await sleep(5);
  t.same(inbox, ['a'], 'nobody takes what nobody waits for');
});

void t.test('what a look finds when the time is up is not lost', async (t) => {
  const { join, watchers } = newLine();
  const place = join();
  let find: (found: string | undefined) => void = () => undefined;
  const looking = new Promise<string | undefined>((resolve) => (find = resolve));
  const found = place.wait('all', LONG, () => looking);
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
  const found = await join().wait('all', LONG, () => {
    looks++;
    return looks < 3 ? Promise.reject(new StoreUnavailableError('down')) : Promise.resolve('a');
  });
  t.equal(found, 'a', 'it looks without being told');
  const failing = join().wait('all', LONG, () => Promise.reject(new TypeError('a fault')));
  watchers.tell('acme');
  await t.rejects(failing, { message: 'a fault' });
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
