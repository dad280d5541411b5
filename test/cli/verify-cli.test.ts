import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { verifyStore } from '../../src/cli/verify-store.ts';
import type { Finding, Verdict } from '../../src/store/embedded/verify.ts';
import { idKey } from '../../src/store/embedded/event-id.ts';
import { eventEntry } from '../../src/store/embedded/event-record.ts';
import { newEntry, seal } from '../../src/store/embedded/seal.ts';
import type { ApiKey } from '../../src/store/key-store.ts';
import type { Name } from '../support/embedded.ts';
import { entries, flipped, openRoot, openTestStore, tablesOf, TTL } from '../support/embedded.ts';

async function verify(env: Record<string, string>, ...args: string[]) {
  let stdout = '';
  let stderr = '';
  const code = await verifyStore(args, {
    env,
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
  });
  return { code, stdout, stderr };
}

async function findings(path: string): Promise<{ code: number; found: Finding[]; verdict: Verdict }> {
  const { code, stdout } = await verify({}, '--data-dir', path, '--json');
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  return { code, found: lines.slice(0, -1) as Finding[], verdict: lines.at(-1) as Verdict };
}

const claim = (name: string, expiresAt: number) => ({
  ...{ key: name.repeat(64), fingerprint: 'f'.repeat(64), expiresAt },
});

/** A folder with entries in every table: events by both kinds of ids, pending, acknowledged and removed; claims; a key. */
async function makeFolder(t: Test, path: string) {
  const { store, clock, event, addOwn, add } = await openTestStore(t, path);
  const foreign = await add();
  const own = await addOwn();
  const acknowledged = await addOwn();
  await store.acknowledge('acme', acknowledged.id, ++clock.time);
  const removed = await add();
  await store.remove('acme', removed.id);
  await add({ tenant: 'other', source: null, payload: JSON.stringify({ fill: 'ä'.repeat(50_000) }) });
  const claimed = event();
  await store.append(claimed, claim('a', clock.time + TTL));
  await store.append(event(), claim('b', clock.time + 1));
  // Taken again after its end.
  await store.append(event({ createdAt: clock.time + 10 }), claim('b', clock.time + TTL));
  const key: ApiKey = {
    ...{ keyId: 'k1', hash: 'h', name: 'n', tenant: 'acme', status: 'active', rateLimit: 1 },
    ...{ createdAt: clock.time, lastUsedAt: null },
  };
  await store.keys.create(key);
  await store.close();
  return { foreign, own, acknowledged, claimed };
}

type Raw = ReturnType<typeof tablesOf>;

/** A copy of the folder, changed by `damage`. */
async function damaged(t: Test, path: string, copy: string, damage: (raw: Raw) => Promise<unknown>) {
  mkdirSync(copy);
  copyFileSync(join(path, 'store.mdb'), join(copy, 'store.mdb'));
  const root = openRoot(t, copy);
  await damage(tablesOf(root));
  await root.close();
  return copy;
}

const nth = (table: Raw[Name], index = 0) => {
  const entry = entries(table).at(index);
  if (entry === undefined) throw new Error('no such entry');
  return entry;
};

type Case = readonly [
  what: string,
  damage: (raw: Raw) => Promise<unknown>,
  expected: readonly { readonly table: string; readonly what?: RegExp; readonly problem: RegExp }[],
];
type Made = Awaited<ReturnType<typeof makeFolder>>;

const onValue = (name: Name, index: number) => async (raw: Raw) => {
  const { key, value } = nth(raw[name], index);
  await raw[name].put(key, flipped(value, Math.floor(value.length / 2)));
};
const onKey = (name: Name, change: (key: Buffer) => Buffer) => async (raw: Raw) => {
  const { key, value } = nth(raw[name]);
  await raw[name].remove(key);
  await raw[name].put(change(key), value);
};
const gone = (name: Name, index: number) => async (raw: Raw) => raw[name].remove(nth(raw[name], index).key);

const ofEvents = ({ foreign, own }: Made): Case[] => [
  [
    'a flipped bit in an event',
    onValue('events', 1),
    [{ table: 'events', what: new RegExp(`^event ${own.id} of tenant acme, of 20`), problem: /checksum/ }],
  ],
  [
    'an event under another time',
    onKey('events', (key) => flipped(key, 6)),
    [
      { table: 'events', what: new RegExp(foreign.id), problem: /checksum/ },
      { table: 'inbox', problem: /no such event/ },
      { table: 'ids', what: new RegExp(foreign.id), problem: /no such event/ },
    ],
  ],
  [
    'an event under no time',
    onKey('events', (key) => key.subarray(0, 5)),
    [
      { table: 'events', what: new RegExp(foreign.id), problem: /not the time/ },
      { table: 'inbox', problem: /no such event/ },
      { table: 'ids', problem: /no such event/ },
    ],
  ],
  [
    'an event cut off',
    async (raw) => raw.events.put(nth(raw.events).key, Buffer.alloc(3)),
    [{ table: 'events', problem: /checksum/ }],
  ],
  [
    'an event that is lost',
    gone('events', 1),
    [{ table: 'inbox', what: /tenant acme/, problem: /no such event/ }],
  ],
];

const ofIndexes = ({ own, acknowledged }: Made): Case[] => [
  [
    'an inbox entry that is lost',
    gone('inbox', 1),
    [{ table: 'events', what: new RegExp(own.id), problem: /pending, and not in the inbox/ }],
  ],
  [
    'an acknowledged event in the inbox',
    async (raw) => {
      const { key, value } = nth(raw.inbox, 1);
      const sequence = nth(raw.events, 2).key;
      await raw.inbox.put(Buffer.concat([key.subarray(0, 5), sequence]), value);
    },
    [
      {
        table: 'events',
        what: new RegExp(acknowledged.id),
        problem: /acknowledged, and still in the inbox/,
      },
      { table: 'inbox', problem: /checksum/ },
    ],
  ],
  [
    'a flipped bit in an inbox entry',
    onValue('inbox', 0),
    [{ table: 'inbox', what: /tenant acme/, problem: /checksum/ }],
  ],
  [
    'an inbox entry of nobody',
    onKey('inbox', (key) => key.subarray(0, 6)),
    [
      { table: 'events', problem: /not in the inbox/ },
      { table: 'inbox', problem: /not a tenant and a time/ },
    ],
  ],
  ['an id that is lost', gone('ids', 0), [{ table: 'events', problem: /index of ids does not have it/ }]],
  [
    'a flipped bit in the index of ids',
    onValue('ids', 0),
    [{ table: 'ids', what: /index entry of event/, problem: /checksum/ }],
  ],
  [
    'a key that is no id',
    onKey('ids', (key) => key.subarray(0, 9)),
    [
      { table: 'events', problem: /index of ids does not have it/ },
      { table: 'ids', problem: /not an id/ },
    ],
  ],
];

const ofAcknowledgements = ({ acknowledged }: Made): Case[] => [
  [
    'an acknowledgement that is lost',
    gone('done', 0),
    [{ table: 'events', what: new RegExp(acknowledged.id), problem: /pending, and not in the inbox/ }],
  ],
  [
    'a flipped bit in an acknowledgement',
    onValue('done', 0),
    [{ table: 'done', what: /the acknowledgement of the event of 20/, problem: /checksum/ }],
  ],
  [
    'an acknowledgement of no time',
    onKey('done', (key) => key.subarray(0, 5)),
    [
      { table: 'events', what: new RegExp(acknowledged.id), problem: /pending, and not in the inbox/ },
      { table: 'done', problem: /not the time/ },
    ],
  ],
  [
    'an acknowledgement of an event that is lost',
    gone('events', 2),
    [{ table: 'done', problem: /no such event/ }],
  ],
  [
    'an event that is acknowledged in its record as well',
    async (raw) => {
      const id = idKey(acknowledged.id) ?? Buffer.alloc(0);
      const sequence = acknowledged.createdAt;
      const { key, value } = eventEntry({ ...acknowledged, acknowledgedAt: sequence + 1 }, id, sequence);
      await raw.events.put(key, value);
    },
    [{ table: 'events', what: new RegExp(acknowledged.id), problem: /acknowledged twice/ }],
  ],
];

const ofOthers = ({ claimed }: Made): Case[] => [
  [
    'a flipped bit in an API key',
    onValue('keys', 0),
    [{ table: 'keys', what: /API key k1/, problem: /checksum/ }],
  ],
  [
    'a flipped bit in a claim',
    onValue('claims', 0),
    [{ table: 'claims', what: /claim aaaa/, problem: /checksum/ }],
  ],
  [
    'a claim that is lost',
    gone('claims', 0),
    [{ table: 'claims-by-expiry', what: /claim aaaa/, problem: /no such claim/ }],
  ],
  [
    'a claim without its end',
    gone('claims-by-expiry', 0),
    [{ table: 'claims', what: new RegExp(claimed.id), problem: /index by expiry does not have it/ }],
  ],
  [
    'an end of another claim',
    onKey('claims-by-expiry', (key) => key.subarray(0, 12)),
    [
      { table: 'claims', problem: /index by expiry does not have it/ },
      { table: 'claims-by-expiry', problem: /not a time and a claim/ },
    ],
  ],
  [
    'a flipped bit in the end of a claim',
    onValue('claims-by-expiry', 0),
    [{ table: 'claims-by-expiry', problem: /checksum/ }],
  ],
];

void t.test('a sound folder, and a sound file', async (t) => {
  const path = t.testdir();
  await makeFolder(t, path);
  const before = readdirSync(path);
  const { code, found, verdict } = await findings(path);
  t.same([code, found], [0, []]);
  t.match(verdict, {
    findings: 0,
    pending: 6,
    entries: { meta: Number, events: 7, inbox: 6, done: 1, keys: 1, claims: 2, 'claims-by-expiry': 2 },
  });
  t.match(await verify({ DATA_DIR: path }), {
    code: 0,
    stdout: /: all is sound\. Entries: .*pending events: 6\.\n$/,
  });
  const file = join(path, 'backup.mdb');
  copyFileSync(join(path, 'store.mdb'), file);
  t.match(await verify({}, file), { code: 0, stderr: '' });
  t.same(readdirSync(path), [...before, 'backup.mdb'].sort(), 'nothing is left beside the file');
});

/** The value whose seal fits this key, with the body of another one. */
function resealed(key: Buffer, { value }: { readonly value: Buffer }): Buffer {
  const draft = newEntry(key.length, value.length - 5);
  key.copy(draft.key);
  value.copy(draft.value, 1, 1, value.length - 4);
  return seal(draft).value;
}

const bodyOf = (name: Name, from: number, to: number) => async (raw: Raw) => {
  const { key } = nth(raw[name], to);
  await raw[name].put(key, resealed(key, nth(raw[name], from)));
};

/** Sealed entries that are not what they should be, as a defect of the service would leave them. */
const ofSealed = ({ own, foreign, claimed }: Made): Case[] => [
  [
    'an event in the place of another one of its tenant',
    bodyOf('events', 0, 1),
    [{ table: 'events', what: new RegExp(foreign.id), problem: /index of ids leads elsewhere/ }],
  ],
  [
    'an event in the place of one of another tenant',
    bodyOf('events', 1, 3),
    [
      { table: 'events', what: new RegExp(own.id), problem: /index of ids does not have it/ },
      { table: 'events', what: new RegExp(own.id), problem: /pending, and not in the inbox/ },
      { table: 'inbox', what: /tenant other/, problem: /is of another tenant/ },
      { table: 'ids', problem: /another event is in its place/ },
    ],
  ],
  [
    'an inbox entry with another source',
    bodyOf('inbox', -1, 1),
    [{ table: 'events', what: new RegExp(own.id), problem: /another source or type/ }],
  ],
  [
    'a claim with another end, of an event with another time',
    async ({ claims }) => {
      const { key, value } = nth(claims);
      // Behind the id of its event it has both times.
      const times = value.indexOf(claimed.id.replaceAll('-', ''), 0, 'hex') + 16;
      const changed = flipped(flipped(value, times + 6), times + 2 * 7 - 1);
      await claims.put(key, resealed(key, { value: changed }));
    },
    [
      { table: 'claims', what: new RegExp(claimed.id), problem: /index by expiry does not have it/ },
      { table: 'claims', what: new RegExp(claimed.id), problem: /its event has another time/ },
      { table: 'claims-by-expiry', problem: /its claim ends at another time/ },
    ],
  ],
  [
    'an API key under the id of another one',
    async ({ keys }) => {
      const key = Buffer.from('k2');
      await keys.put(key, resealed(key, nth(keys)));
    },
    [{ table: 'keys', what: /API key k2/, problem: /that of another key/ }],
  ],
];

void t.test('every damage is named, with what it was', async (t) => {
  const folder = t.testdir({ sound: {} });
  const sound = join(folder, 'sound');
  const made = await makeFolder(t, sound);
  const cases = [ofEvents, ofIndexes, ofAcknowledgements, ofOthers, ofSealed].flatMap((of) => of(made));
  for (const [index, [what, damage, expected]] of cases.entries()) {
    const copy = await damaged(t, sound, join(folder, String(index)), damage);
    const { code, found, verdict } = await findings(copy);
    t.equal(code, 1, what);
    t.match(found, expected, what);
    t.equal(found.length, expected.length, `${what}, and nothing else: ${JSON.stringify(found)}`);
    t.equal(verdict.findings, found.length);
  }
  const text = await verify({}, '--data-dir', join(folder, '0'));
  t.match(
    text.stdout,
    /^events [0-9a-f]{16}: event .*: its checksum does not match\. Effect: .*\.\n.*: 1 thing is damaged\. /,
  );
});

/**
 * The places of the nodes in the page that leads to all events, of which it is the newest with so many: `MDB_page_header` and
 * `MDB_node` in the mdb.c of lmdb-js.
 */
function eventsBranch(file: Buffer) {
  const pages = Array.from({ length: file.length / 4096 }, (_, page) => page * 4096).filter(
    (at) => file.readUInt16LE(at + 18) === 1 && file.readUInt16LE(at + 20) > 2 * 5,
  );
  const branch = pages.sort((a, b) => Number(file.readBigUInt64LE(b + 8) - file.readBigUInt64LE(a + 8)))[0];
  if (branch === undefined) throw new Error('no page leads to others');
  const pointers = file.subarray(branch + 24, branch + 24 + file.readUInt16LE(branch + 20));
  const node = (index: number) => branch + 24 + pointers.readUInt16LE(2 * index);
  return { branch, pointers, node };
}

void t.test('pages that lead to the wrong entries, or to none, are found', async (t) => {
  const folder = t.testdir({ sound: {} });
  const { store, clock, addOwn } = await openTestStore(t, join(folder, 'sound'));
  // Nothing refers to an event that is acknowledged: only what is read of its own table can show that it is lost.
  for (let n = 0; n < 400; n++) await store.acknowledge('acme', (await addOwn()).id, ++clock.time);
  await store.close();
  const whole = readFileSync(join(folder, 'sound', 'store.mdb'));
  const afterDamage = async (damage: (file: Buffer) => void) => {
    const file = Buffer.from(whole);
    damage(file);
    writeFileSync(join(folder, 'damaged.mdb'), file);
    return verify({}, join(folder, 'damaged.mdb'));
  };
  t.match(await afterDamage(() => undefined), { code: 0 });
  t.match(
    await afterDamage((file) => {
      const { node } = eventsBranch(file);
      // The last byte of a key, after the bytes of the node itself.
      const last = node(3) + 8 + file.readUInt16LE(node(3) + 6) - 1;
      file.writeUInt8(file.readUInt8(last) ^ 0x40, last);
    }),
    { code: 1, stdout: /^events [0-9a-f]+: an entry: it is not found by its key/ },
    'a key that leads elsewhere',
  );
  t.match(
    await afterDamage((file) => {
      const { node } = eventsBranch(file);
      // The number of the page.
      file.copyWithin(node(3), node(4), node(4) + 6);
    }),
    { code: 1, stdout: /^events [0-9a-f]+: an entry: it comes again or out of order/ },
    'a page twice, in place of another one',
  );
  t.match(
    await afterDamage((file) => {
      const { branch, pointers } = eventsBranch(file);
      pointers.copyWithin(6, 8);
      file.writeUInt16LE(pointers.length - 2, branch + 20);
    }),
    { code: 1, stdout: /^events: the table: LMDB counts 400 entries, and gives 3\d\d:/ },
    'a page that nothing leads to',
  );
});

void t.test('what cannot be read, and what is not understood', async (t) => {
  const folder = t.testdir({ empty: {}, text: 'no store' });
  t.match(await verify({ DATA_DIR: join(folder, 'empty') }), {
    code: 2,
    stderr: /There is no store in .*empty/,
  });
  t.notOk(existsSync(join(folder, 'empty', 'store.mdb')));
  t.match(await verify({}, join(folder, 'nothing')), { code: 2, stderr: /there is no file .*nothing/ });
  t.match(await verify({}, join(folder, 'empty')), { code: 2, stderr: /empty is a folder: use --data-dir / });
  t.match(await verify({}, join(folder, 'text')), {
    code: 2,
    stderr: /cannot be opened: its meta pages are damaged/,
  });
  writeFileSync(join(folder, 'empty', 'store.mdb'), '');
  t.match(await verify({}, '--data-dir', join(folder, 'empty')), { code: 2 });
  t.match(await verify({ STORE: 'dynamodb' }), { code: 2, stderr: /embedded store only/ });
  t.match(await verify({}, 'a', 'b'), { code: 2, stderr: /takes one FILE or/ });
  t.match(await verify({}, '--fast'), { code: 2, stderr: /--fast/ });
  t.match(await verify({}, '--help'), { code: 0, stdout: /^Usage: triggers-api verify / });
});
