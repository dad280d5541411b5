import { setTimeout as sleep } from 'node:timers/promises';
import type { Test } from 'tap';
import t from 'tap';
import { createNews, NEWS_KEY } from '../../../src/store/dynamodb/news.ts';
import type { Deadline } from '../../../src/store/dynamodb/deadline.ts';
import type { Table } from '../../../src/store/dynamodb/table.ts';
import { silentLog } from '../../../bench/harness/dynamodb.ts';
import { beside } from '../../support/beside.ts';

type Update = Parameters<Table['update']>[0];

const side = beside(t);

/** The item that instances share, as DynamoDB keeps it: it refuses an update that names an attribute twice. */
function newBoard() {
  const item: Record<string, unknown> = {};
  const state = { reads: 0, updates: [] as Update[], down: false };
  const claims = {
    name: 'claims',
    get: ({ Key }: { Key?: unknown }) => {
      if (state.down) return Promise.reject(new Error('no answer'));
      state.reads++;
      if ((Key as { claim_key: string }).claim_key !== NEWS_KEY) throw new Error('another item');
      return Promise.resolve(Object.keys(item).length === 0 ? undefined : { claim_key: NEWS_KEY, ...item });
    },
    update: (input: Update) => {
      if (state.down) return Promise.reject(new Error('no answer'));
      apply(item, input);
      state.updates.push(input);
      return Promise.resolve({ written: true, attributes: undefined } as const);
    },
  };
  return { item, state, claims };
}

function apply(item: Record<string, unknown>, input: Update): void {
  const touched = new Set<string>();
  const name = (place: string): string => {
    const found = input.ExpressionAttributeNames?.[place] ?? '';
    if (touched.has(found)) throw new Error(`Two document paths overlap: ${found}`);
    touched.add(found);
    return found;
  };
  const clauses = (input.UpdateExpression ?? '').split(/ ?(?=SET |ADD |REMOVE )/);
  for (const clause of clauses) {
    const [, verb = '', list = ''] = /^(SET|ADD|REMOVE) (.*)$/.exec(clause) ?? [];
    for (const part of list.split(', ')) {
      const [place = '', value = ''] = part.split(/ = | /);
      const given: unknown = input.ExpressionAttributeValues?.[value];
      if (verb === 'SET') item[name(place)] = given;
      else if (verb === 'REMOVE') Reflect.deleteProperty(item, name(place));
      else {
        const attribute = name(place);
        item[attribute] = Number(item[attribute] ?? 0) + Number(given);
      }
    }
  }
}

const EVERY_MS = 5;

function instance(t: Test, { claims }: ReturnType<typeof newBoard>, time = { s: 1_000_000 }) {
  const warnings: string[] = [];
  const news = createNews({
    ...{ claims, everyMs: EVERY_MS, now: () => time.s * 1e6 },
    run: (call) => call({} as Deadline),
    log: { ...silentLog, warn: (_, message) => void warnings.push(message) },
  });
  t.teardown(news.stop);
  return { news, warnings };
}

function watch(news: ReturnType<typeof instance>['news'], tenant: string) {
  let told = 0;
  const end = news.watch(tenant, () => {
    told++;
  });
  return { end, told: () => told };
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let tries = 0; !isTrue(); tries++) {
    if (tries > 1_000) throw new Error('it does not come');
    await sleep(EVERY_MS);
  }
}

const looks = (count = 4): Promise<void> => sleep(count * EVERY_MS * 3);

side('who waits is told of what another instance has stored', async (t) => {
  const board = newBoard();
  const [a, b] = [instance(t, board), instance(t, board)];
  const waiting = watch(a.news, 'acme');
  await until(() => waiting.told() > 0);
  t.equal(board.state.updates.length, 1, 'it says that it waits, and looks once more');
  await looks();
  const before = waiting.told();
  b.news.tell('acme');
  await until(() => waiting.told() > before);
  t.equal(board.state.updates.length, 2);
  await looks();
  t.equal(board.state.updates.length, 2, 'one for both');
  for (let times = 0; times < 50; times++) b.news.tell('acme');
  await looks();
  t.equal(board.state.updates.length, 3, 'many at a time are one');
});

side('what nobody waits for is written nowhere, and read only for a moment', async (t) => {
  const board = newBoard();
  const { news } = instance(t, board);
  news.tell('acme');
  await until(() => board.state.reads > 0);
  const reads = board.state.reads;
  await looks();
  t.ok(board.state.reads <= reads + 1);
  t.same(board.state.updates, []);
});

side('who waits again after a while looks, because it cannot know what is new', async (t) => {
  const board = newBoard();
  const { news } = instance(t, board);
  const first = watch(news, 'acme');
  await until(() => first.told() > 0);
  first.end();
  // It says that it waits no more.
  await until(() => Object.values(board.item).some((value) => /^\d+ A{21}[A-Za-z]?=/.test(String(value))));
  await looks();
  const { reads } = board.state;
  await looks();
  t.equal(board.state.reads, reads, 'and reads no more');
  const again = watch(news, 'acme');
  await until(() => again.told() > 0);
  again.end();
});

side('an instance that waits again after a long time says so', async (t) => {
  const board = newBoard();
  const time = { s: 1_000_000 };
  const { news } = instance(t, board, time);
  const first = watch(news, 'acme');
  await until(() => board.state.updates.length === 1);
  first.end();
  time.s += 10_000;
  const again = watch(news, 'acme');
  await until(() => board.state.updates.length >= 2);
  const [attribute] = Object.keys(board.item).filter((name) => name.startsWith('i_'));
  t.match(board.item[attribute ?? ''], /^1010060 /);
  again.end();
});

side('attributes of instances that have ended are removed by others', async (t) => {
  const board = newBoard();
  board.item['i_gone'] = '999000 AAAA';
  board.item['i_damaged'] = 7;
  const waiting = watch(instance(t, board).news, 'acme');
  await until(() => board.state.updates.length > 0);
  t.notOk('i_gone' in board.item);
  t.notOk('i_damaged' in board.item);
  waiting.end();
});

side('instances know who else waits for a tenant', async (t) => {
  const board = newBoard();
  const [a, b] = [instance(t, board), instance(t, board)];
  const waits = [watch(a.news, 'acme'), watch(b.news, 'acme')];
  await until(() => [a, b].every(({ news }) => news.waitingWith('acme').others.length === 1));
  t.same(a.news.waitingWith('acme').others, [b.news.waitingWith('acme').me]);
  t.same(a.news.waitingWith('somebody else').others, []);
  waits[1]?.end();
  await until(() => a.news.waitingWith('acme').others.length === 0);
  t.pass('and who has left a few seconds ago');
});

side('a board that cannot be reached is told once, and read again', async (t) => {
  const board = newBoard();
  board.state.down = true;
  const { news, warnings } = instance(t, board);
  const waiting = watch(news, 'acme');
  await until(() => warnings.length > 0);
  await looks();
  t.equal(warnings.length, 1);
  board.state.down = false;
  await until(() => waiting.told() > 0);
  waiting.end();
});
