import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import { createLoopTurns } from '../../src/http/loop-turns.ts';

/** Takes that much time of a turn. */
function busy(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

void t.test('jobs run at once while the turn has time left, then in later turns', async (t) => {
  const turns = createLoopTurns(5);
  const ran: string[] = [];
  const job = (name: string) => () => {
    ran.push(name);
    busy(6);
  };
  turns.run('acme', job('a1'));
  turns.run('acme', job('a2'));
  turns.run('acme', job('a3'));
  t.strictSame(ran, ['a1']);
  await nextTurn();
  t.strictSame(ran, ['a1', 'a2'], 'one a turn, when one takes all of its time');
  await nextTurn();
  t.strictSame(ran, ['a1', 'a2', 'a3']);
  await nextTurn();
  turns.run('acme', job('a4'));
  t.equal(ran.at(-1), 'a4', 'at once again');
});

void t.test('many small jobs share a turn', (t) => {
  const turns = createLoopTurns(1_000);
  let ran = 0;
  for (let job = 0; job < 100; job++) turns.run('acme', () => (ran += 1));
  t.equal(ran, 100);
  t.end();
});

void t.test('tenants take turns', async (t) => {
  const turns = createLoopTurns(5);
  const ran: string[] = [];
  const job = (name: string) => () => {
    ran.push(name);
    busy(6);
  };
  for (const name of ['a1', 'a2', 'a3']) turns.run('acme', job(name));
  turns.run('zenith', job('z1'));
  while (ran.length < 4) await nextTurn();
  t.strictSame(ran, ['a1', 'a2', 'z1', 'a3']);
});
