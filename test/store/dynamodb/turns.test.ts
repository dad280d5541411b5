import t from 'tap';
import { createTurns } from '../../../src/store/dynamodb/turns.ts';

void t.test('jobs start at once while there are places, then one for each that ends', async (t) => {
  const world = newWorld(2);
  const jobs = [world.start('a', '1'), world.start('a', '2'), world.start('a', '3')];
  t.strictSame(world.started, ['1', '2']);
  world.end('2');
  await jobs[1];
  t.strictSame(world.started, ['1', '2', '3']);
  world.end('1');
  world.end('3');
  t.strictSame(await Promise.all(jobs), ['1', '2', '3']);
});

void t.test('tenants take turns, however much one has waiting', async (t) => {
  const world = newWorld(1);
  for (const name of ['1', '2', '3', '4', '5']) void world.start('a', name);
  for (const name of ['x', 'y']) void world.start('b', name);
  void world.start('c', 'z');
  for (const next of ['1', '2', 'x', 'z', '3', 'y', '4', '5']) {
    t.equal(world.started.at(-1), next);
    await world.endAndSettle(next);
  }
});

void t.test('one tenant never has more places than its limit; the rest is for others', async (t) => {
  const world = newWorld(4, 2);
  for (const name of ['1', '2', '3']) void world.start('a', name);
  t.strictSame(world.started, ['1', '2']);
  void world.start('b', 'x');
  void world.start('c', 'y');
  void world.start('c', 'z');
  t.strictSame(world.started, ['1', '2', 'x', 'y']);
  await world.endAndSettle('x');
  t.strictSame(world.started.slice(4), ['z'], 'not 3: a has two');
  await world.endAndSettle('1');
  t.strictSame(world.started.slice(5), ['3']);
});

void t.test('a job that fails frees its place', async (t) => {
  const turns = createTurns(1);
  await t.rejects(
    turns.run('a', () => Promise.reject(new Error('failed'))),
    { message: 'failed' },
  );
  t.equal(await turns.run('b', () => Promise.resolve('next')), 'next');
});

/** Jobs that end when the test says so, and answer with their name. */
function newWorld(places: number, mostOfOne?: number) {
  const turns = createTurns(places, mostOfOne);
  const started: string[] = [];
  const ends = new Map<string, () => void>();
  const end = (name: string) => ends.get(name)?.();
  return {
    started,
    end,
    start: (tenant: string, name: string) =>
      turns.run(tenant, () => {
        started.push(name);
        return new Promise<string>((resolve) =>
          ends.set(name, () => {
            resolve(name);
          }),
        );
      }),
    async endAndSettle(name: string) {
      end(name);
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}
