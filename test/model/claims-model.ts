/**
 * Claim and event without a transaction: every order of the requests of several instances, with requests that get no
 * answer, come late or never, instances that die, and time that passes. The code is the store's own; the engine is in memory,
 * and answers as DynamoDB does where `model and engine agree` asks both.
 */
import assert from 'node:assert';
import { DeleteCommand, GetCommand, PutCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb';
import t from 'tap';
import type { StoredEvent } from '../../src/store/event.ts';
import { appendClaimed } from '../../src/store/dynamodb/claimed-append.ts';
import { createClient } from '../../src/store/dynamodb/client.ts';
import { acknowledgeItem, removeItem } from '../../src/store/dynamodb/events-table.ts';
import { LEASE_INDEX } from '../../src/store/dynamodb/table-definitions.ts';
import { createIndexReader } from '../../src/store/dynamodb/index-reader.ts';
import { idOfPosition, isVisible } from '../../src/store/dynamodb/event-item.ts';
import { openTable } from '../../src/store/dynamodb/table.ts';
import type { Appended } from '../../src/store/event-store.ts';
import { endless } from '../support/deadline.ts';
import { startDynalite } from '../../bench/harness/dynamodb.ts';
import { openStore } from '../support/dynamodb.ts';
import { createMemoryTables, type Command, type Item } from '../support/memory-tables.ts';
import { ScheduleError, walkSchedules } from '../support/schedules.ts';
import type { Actor, Budget, Running, Walked, World } from '../support/schedules.ts';

const START = 1_000_000_000;
const WINDOW = 300e6;
const EVENT_TTL = 86_400e6;
const KEYS = { events: 'event_id', claims: 'claim_key' };

const never = endless();
const WHOLE = { after: '', to: null };

interface Scene extends Budget {
  readonly instances: number;
  readonly consumers: readonly ('acknowledge' | 'remove')[];
  /** The last instance brings the same claim with other content. */
  readonly conflict?: boolean;
  /** One that says what a failed condition met, one that does not, or both; one is enough for the largest walks. */
  readonly engines?: readonly boolean[];
  readonly returnsItem?: boolean;
  /** Takes long: walked only with MODEL=large, as `npm run test:model` and CI do. */
  readonly large?: boolean;
  /** A planted bug: what becomes of a request on its way. */
  readonly distort?: (command: Command) => Command | object;
}

const scenes: Record<string, Scene> = {
  'two instances, two requests lost': { instances: 2, consumers: [], lost: 2, deaths: 0, jumps: 0 },
  'two instances, one lost, one dies, time passes': {
    instances: 2,
    consumers: [],
    lost: 1,
    deaths: 1,
    jumps: 1,
    engines: [false],
    large: true,
  },
  'two instances, one acknowledges, one removes, one lost': {
    instances: 2,
    consumers: ['acknowledge', 'remove'],
    lost: 1,
    deaths: 0,
    jumps: 0,
    engines: [true],
    large: true,
  },
  'two instances, one removes, one lost': {
    instances: 2,
    consumers: ['remove'],
    lost: 1,
    deaths: 0,
    jumps: 0,
  },
  'two instances, one removes, one dies, time passes': {
    instances: 2,
    consumers: ['remove'],
    lost: 0,
    deaths: 1,
    jumps: 1,
  },
  'two instances, one acknowledges, one lost': {
    instances: 2,
    consumers: ['acknowledge'],
    lost: 1,
    deaths: 0,
    jumps: 0,
  },
  'two instances, one acknowledges, one dies, time passes': {
    instances: 2,
    consumers: ['acknowledge'],
    lost: 0,
    deaths: 1,
    jumps: 1,
  },
  'three instances, time passes': {
    instances: 3,
    consumers: [],
    lost: 0,
    deaths: 1,
    jumps: 1,
    engines: [false],
    large: true,
  },
  'two remove, one lost': { instances: 1, consumers: ['remove', 'remove'], lost: 1, deaths: 0, jumps: 0 },
  'other content': { instances: 2, consumers: [], conflict: true, lost: 1, deaths: 0, jumps: 1 },
};

const large = process.env['MODEL'] === 'large';

for (const [name, scene] of Object.entries(scenes)) {
  if (scene.large === true && !large) continue;
  for (const returnsItem of scene.engines ?? [true, false]) {
    const engine = returnsItem ? 'says what it met' : 'does not say what it met';
    void t.test(`${name}; an engine that ${engine}`, async (t) => {
      const { schedules, states } = await walk({ ...scene, returnsItem });
      t.comment(
        `${schedules.toLocaleString('en')} schedules through ${states.toLocaleString('en')} situations`,
      );
      t.ok(schedules > 1_000);
    });
  }
}

const bugs: Record<string, { scene: Budget; distort: (command: Command) => Command | object; said: RegExp }> =
  {
    'the event of a live claim is not looked for': {
      scene: { lost: 0, deaths: 1, jumps: 0 },
      distort: (command) =>
        command instanceof GetCommand && command.input.ProjectionExpression === 'event_id'
          ? { Item: command.input.Key }
          : command,
      said: /which is not stored/,
    },
    'a removed event leaves no tombstone': {
      scene: { lost: 0, deaths: 0, jumps: 0 },
      distort: (command) =>
        command instanceof UpdateCommand &&
        command.input.ExpressionAttributeValues?.[':removed'] !== undefined
          ? new DeleteCommand({ TableName: command.input.TableName, Key: command.input.Key })
          : command,
      said: /does not keep it from being written again/,
    },
    'an event is put without a condition': {
      scene: { lost: 1, deaths: 0, jumps: 0 },
      distort: withoutCondition('events'),
      said: /is pending again/,
    },
    'a claim is put without a condition': {
      scene: { lost: 0, deaths: 0, jumps: 0 },
      distort: withoutCondition('claims'),
      said: /a live claim changed hands/,
    },
  };

/** Puts into a table are sent without their condition. */
function withoutCondition(table: string): (command: Command) => Command {
  return (command) =>
    command instanceof PutCommand && command.input.TableName === table
      ? new PutCommand({ TableName: table, Item: command.input.Item })
      : command;
}

for (const [name, { scene, distort, said }] of Object.entries(bugs)) {
  void t.test(`the walk finds a planted bug: ${name}`, async (t) => {
    const failure = await walk({ instances: 2, consumers: ['remove'], ...scene, distort }).catch(
      (error: unknown) => error,
    );
    t.ok(failure instanceof ScheduleError);
    t.match(String(failure), said);
    t.comment(String(failure));
  });
}

void t.test('model and engine agree', async (t) => {
  const endpoint = await startDynalite(t);
  await openStore(t, endpoint, { tables: { events: 'events', claims: 'claims', keys: 'keys' } });
  const engine = createClient({ endpoint, region: 'us-east-1' });
  t.teardown(() => {
    engine.destroy();
  });
  const model = createMemoryTables(KEYS, false);
  let requests = 0;
  const send = async (request: unknown) => {
    requests += 1;
    const [answer, modelled] = await Promise.all([
      engine.send(request as PutCommand).catch((error: unknown) => error),
      new Promise((resolve) => {
        resolve(model.carryOut(request as Command));
      }).catch((error: unknown) => error),
    ]);
    t.strictSame(told(modelled), told(answer));
    if (answer instanceof Error) throw answer;
    return answer;
  };
  let time = START;
  const outcomes = new Set<string>();
  const random = lcg();
  for (let step = 0; step < 300; step++) {
    time += random() % 7 === 0 ? WINDOW : 1;
    const kind = (['append', 'append', 'acknowledge', 'remove'] as const)[random() % 4] ?? 'append';
    // Mostly one of the last few: earlier ones have been removed.
    const id = `e${String(step - (random() % 10))}`;
    const claim = { key: `k${String(random() % 3)}`, content: random() % 5 === 0 ? 'other' : 'same' };
    const answer =
      kind === 'append'
        ? await appendActor(`e${String(step)}`, claim).run(send, () => time)
        : await consume(send, kind, id, { now: time, token: `token ${String(step)}` });
    outcomes.add(JSON.stringify({ ...(answer as object), id: undefined, createdAt: undefined }));
  }
  const shown = await createIndexReader(tablesThrough(send).events, () => LEASE_INDEX).query(
    'acme#0',
    WHOLE,
    5,
    {},
    never,
  );
  t.ok(shown.entries.length > 0);
  t.comment(`${String(requests)} requests; ${[...outcomes].join('; ')}`);
  t.equal(outcomes.size, 7, 'everything that can happen did');
});

/** The part of an answer that the model gives as well. */
function told(answer: unknown): unknown {
  if (answer instanceof Error) return answer.name;
  const { Item, Items, Attributes } = answer as Record<string, unknown>;
  return { Item, Items, Attributes };
}

/** The same numbers on every run. */
function lcg(): () => number {
  let state = 7;
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) >>> 16;
}

function walk(scene: Scene): Promise<Walked> {
  return walkSchedules(() => newWorld(scene), scene);
}

function newWorld({ instances, consumers, conflict, returnsItem = true, distort }: Scene): World {
  let time = START;
  const tables = createMemoryTables(KEYS, returnsItem);
  const history = createHistory(tables.items, () => time);
  const names = ['A', 'B', 'C', 'D'];
  const append = (name: string, content: string, last = false): Actor => {
    const actor = appendActor(name, { key: 'k', content });
    const run: Actor['run'] = (send, now) => {
      history.begins(name);
      return actor.run(send, now);
    };
    return { name, last, run };
  };
  return {
    actors: [
      ...names.slice(0, instances).map((name, at) => append(name, conflict && at > 0 ? 'other' : 'same')),
      ...consumers.map((kind, at) => consumer(`${kind} ${String(at)}`, kind)),
      append('again', 'same', true),
    ],
    carryOut(request) {
      const sent = request as Command;
      const command = distort ? distort(sent) : sent;
      return isCommand(command) ? tables.carryOut(command) : command;
    },
    check: (actors) => {
      history.check(actors);
    },
    now: () => time,
    jump() {
      time += WINDOW;
    },
    state: () => [time, [...tables.items.values()].map(sorted), history.state()],
    describe: (request) => (request as Command).input,
  };
}

/** Brings an event, with the claim `key`. Its name is its event's id. */
function appendActor(
  name: string,
  { key, content }: { readonly key: string; readonly content: string },
): Actor {
  return {
    name,
    run: (send, now) => {
      const { claims, events } = tablesThrough(send);
      const event = newEvent(name, now());
      const claim = { key, fingerprint: content, expiresAt: now() + WINDOW };
      const options = { claims, events, now, shards: 1, eventTtl: EVENT_TTL };
      const packed = { event, payload: event.payload, payloadBytes: event.payload.length };
      return appendClaimed(options, packed, claim, never);
    },
  };
}

/** Takes the first event of the inbox, if there is one, and acknowledges or removes it. */
function consumer(name: string, kind: 'acknowledge' | 'remove'): Actor {
  return {
    name,
    async run(send, now) {
      const { events } = tablesThrough(send);
      const { entries } = await createIndexReader(events, () => LEASE_INDEX).query(
        'acme#0',
        WHOLE,
        1,
        {},
        never,
      );
      const [entry] = entries;
      if (entry === undefined) return undefined;
      const id = idOfPosition(entry.position);
      return consume(send, kind, id, { now: now(), token: name });
    },
  };
}

async function consume(
  send: Send,
  kind: 'acknowledge' | 'remove',
  id: string,
  { now, token }: { readonly now: number; readonly token: string },
): Promise<Consumed> {
  const { events } = tablesThrough(send);
  const request = { id, tenant: 'acme', horizon: now - EVENT_TTL, token };
  if (kind === 'remove') return { id, removed: await removeItem(events, request, never) };
  const found = await acknowledgeItem(events, { ...request, at: now, unlessLeasedAt: null }, never);
  return { id, acknowledged: found === 'acknowledged' };
}

type Send = (request: unknown) => Promise<unknown>;

interface Consumed {
  readonly id: string;
  readonly removed?: boolean;
  readonly acknowledged?: boolean;
}

/** Follows what happens to the claim and the events, and throws when something must not happen. */
function createHistory(tables: ReadonlyMap<string, ReadonlyMap<string, Item>>, now: () => number) {
  /** The fate of every event that ever existed. */
  const fates = new Map<string, Fate>();
  /** Who has held the claim since an append began. */
  const holdersSince = new Map<string, Set<string>>();
  const everHeld = new Set<string>();
  let holder: { readonly id: string; readonly expiresAt: number } | undefined;

  const note = () => {
    const claim = tables.get('claims')?.get('k');
    if (claim !== undefined && claim['event_id'] !== holder?.id) {
      assert.ok(holder === undefined || holder.expiresAt <= now(), 'a live claim changed hands');
      holder = { id: String(claim['event_id']), expiresAt: Number(claim['expires_at']) };
      everHeld.add(holder.id);
      for (const holders of holdersSince.values()) holders.add(holder.id);
    }
    for (const [id, item] of tables.get('events') ?? []) {
      const fate = fateOf(item);
      assert.ok(everHeld.has(id), `event ${id} never had the claim`);
      const before = fates.get(id) ?? 'pending';
      assert.ok(
        ORDER.indexOf(fate) >= ORDER.indexOf(before),
        `event ${id} was ${before} and is ${fate} again`,
      );
      fates.set(id, fate);
    }
    for (const id of fates.keys()) {
      assert.ok(
        tables.get('events')?.has(id),
        `the claim of ${id} does not keep it from being written again`,
      );
    }
  };

  return {
    begins(name: string) {
      const live = holder !== undefined && holder.expiresAt > now() ? [holder.id] : [];
      holdersSince.set(name, new Set(live));
    },
    check(actors: readonly Running[]) {
      note();
      for (const { name, status, answer } of actors) {
        if (status !== 'done' || answer === undefined) continue;
        if (answer instanceof Error) throw answer;
        if (holdersSince.has(name)) checkAnswer(name, answer as Appended);
      }
      checkConsumers(actors, fates);
    },
    state: () => [
      sorted(fates),
      sorted(holdersSince).map(([name, holders]) => [name, [...holders].sort()]),
      [...everHeld].sort(),
      holder,
    ],
  };

  function checkAnswer(name: string, answer: Appended): void {
    const holders = holdersSince.get(name) ?? new Set();
    if (answer.outcome === 'conflict') {
      assert.ok(holders.size > (holders.has(name) ? 1 : 0), `${name} has a conflict with nobody`);
      return;
    }
    const id = answer.outcome === 'stored' ? name : answer.id;
    if (answer.outcome === 'duplicate') assert.notEqual(id, name, `${name} is a duplicate of itself`);
    assert.ok(holders.has(id), `${name} was told ${id}, which did not have the claim meanwhile`);
    // The event exists, in any state; `note` checks that it never disappears.
    assert.ok(fates.has(id), `${name} was told ${id}, which is not stored`);
  }
}

function checkConsumers(actors: readonly Running[], fates: ReadonlyMap<string, Fate>): void {
  const consumed = actors.flatMap(({ answer }) => (isConsumed(answer) ? [answer] : []));
  for (const id of fates.keys()) {
    const mine = consumed.filter((one) => one.id === id);
    assert.ok(mine.filter((one) => one.removed).length <= 1, `${id} was removed twice`);
    assert.ok(mine.filter((one) => one.acknowledged).length <= 1, `${id} was acknowledged twice`);
    if (mine.some((one) => one.removed)) assert.equal(fates.get(id), 'removed');
    if (mine.some((one) => one.acknowledged)) assert.notEqual(fates.get(id), 'pending');
  }
  const settled = actors.every(({ status }) => status === 'done');
  const removers = consumed.filter((one) => one.removed !== undefined);
  if (settled && removers.length > 0)
    assert.ok(
      removers.some((one) => one.removed),
      'nobody removed it',
    );
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

const ORDER = ['pending', 'acknowledged', 'removed'] as const;
type Fate = (typeof ORDER)[number];

function fateOf(item: Item): Fate {
  const visible = isVisible(item, 'acme', Number(item['created_at'] ?? START) - 1);
  if (item['status'] === 'pending') {
    assert.ok(
      visible && item['inbox_shard'] === 'acme#0' && typeof item['payload'] === 'string',
      'half an event',
    );
    return 'pending';
  }
  assert.equal(item['inbox_shard'] ?? item['inbox_position'], undefined, 'in the inbox for good');
  if (item['status'] === 'acknowledged') {
    assert.ok(visible);
    return 'acknowledged';
  }
  assert.ok(!visible);
  assert.deepStrictEqual(Object.keys(item).sort(), [
    'claim_ttl',
    'event_id',
    'remove_token',
    'status',
    'ttl',
  ]);
  return 'removed';
}

function isConsumed(answer: unknown): answer is Consumed {
  return typeof answer === 'object' && answer !== null && ('removed' in answer || 'acknowledged' in answer);
}

function tablesThrough(send: Send) {
  const client = { send } as unknown as DynamoDBDocumentClient;
  return { claims: openTable(client, 'claims'), events: openTable(client, 'events') };
}

function newEvent(id: string, createdAt: number): StoredEvent {
  const fixed = { tenant: 'acme', source: null, type: 't', metadata: null, acknowledgedAt: null };
  return { id, payload: '{}', createdAt, ...fixed };
}

function isCommand(command: object): command is Command {
  return 'input' in command;
}
