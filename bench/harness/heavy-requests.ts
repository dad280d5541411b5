import { createLocalAuthenticator, LOCAL_KEY } from '../../src/access/local.ts';
import { createRateLimiter } from '../../src/access/rate-limiter.ts';
import { createClock } from '../../src/events/clock.ts';
import { createWaiting } from '../../src/events/waiting.ts';
import { createDispatch } from '../../src/http/dispatch.ts';
import { readHead } from '../../src/http/head.ts';
import { unversionedContract } from '../../src/http/unversioned/contract.ts';
import { v1Contract } from '../../src/http/v1/contract.ts';
import type { EventStore } from '../../src/store/event-store.ts';

export interface HeavyRequest {
  readonly method: 'GET' | 'POST';
  /** With its query. */
  readonly target: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
}

/** A store that does nothing: what a request costs is then what we do with it. */
const store: EventStore = {
  newId: () => '00000000-0000-4000-8000-000000000000',
  append: () => Promise.resolve({ outcome: 'stored' }),
  appendMany: (_, appends) => Promise.resolve(appends.map(() => ({ outcome: 'stored' }))),
  get: () => Promise.resolve(undefined),
  listPending: () => Promise.resolve({ events: [], next: null }),
  pendingTag: () => Promise.resolve(''),
  watch: () => () => undefined,
  countPending: () => Promise.resolve({ count: 0, exact: true }),
  acknowledge: () => Promise.resolve({ outcome: 'missing' }),
  acknowledgeMany: (_, ids) => Promise.resolve(ids.map(() => ({ outcome: 'missing' }))),
  lease: () => Promise.resolve({ leased: [], settled: [] }),
  settle: (_, settlements) => Promise.resolve(settlements.map(() => ({ outcome: 'lost' }))),
  listQuarantined: () => Promise.resolve({ events: [], next: null }),
  redrive: (_, ids) => Promise.resolve(ids.map(() => ({ outcome: 'missing' }))),
  remove: () => Promise.resolve(false),
  ping: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

/**
 * @returns what handles a request, by both contracts and without a socket, and counts the milliseconds of processor time that
 *   this takes: by the clock, whatever else the machine does would count.
 */
export function createMeter(): (request: HeavyRequest) => Promise<{ ms: number; status: number }> {
  const waiting = createWaiting({ store, placesPerKey: 1 });
  const services = { store, clock: createClock(), version: '0' };
  const dispatch = createDispatch(
    [
      v1Contract({ ...services, idempotencyTtl: 1e12, eventTtl: 1e12, draining: () => false, waiting }),
      unversionedContract({ ...services, dedupWindow: 1e9 }),
    ],
    {
      authenticator: createLocalAuthenticator({ authenticate: () => 'unauthorized' }),
      rateLimiter: createRateLimiter(),
    },
  );
  return async ({ method, target, headers = [], body = '' }) => {
    const [path = '', rawQuery = ''] = target.split('?');
    const bytes = Buffer.from(body);
    const before = process.cpuUsage();
    const head = readHead({
      forEach(callback) {
        callback('x-api-key', LOCAL_KEY);
        for (const [name, value] of headers) callback(name, value);
      },
    });
    const call = {
      method,
      path,
      rawQuery,
      head,
      startedAt: 0,
      principal: undefined,
      authMs: undefined,
      handledAt: undefined,
      extraHeaders: [],
      replyBy: undefined,
      open: true,
    };
    const { status } = await dispatch.answer(call, bytes);
    const { user, system } = process.cpuUsage(before);
    return { ms: (user + system) / 1000, status };
  };
}

/** A payload goes where the most is done with it: where a claim is made of it. */
export const PAYLOAD_ROUTES: readonly { limit: number; request: (payload: string) => HeavyRequest }[] = [
  {
    limit: 409_600,
    request: (payload) => ({
      method: 'POST',
      target: '/v1/events',
      headers: [['idempotency-key', 'k']],
      body: `{"source":"s","event_type":"t","payload":${payload}}`,
    }),
  },
  {
    limit: 262_144,
    request: (payload) => ({
      method: 'POST',
      target: '/events',
      body: `{"event_type":"t","payload":${payload}}`,
    }),
  },
];

/** Of the same size, and nothing is compared with it: what a body costs at least. */
export function plainRequest(size: number): HeavyRequest {
  const payload = listOf(
    (index) => `{"order":${String(index)},"name":"customer","paid":true,"price":12.5}`,
    size - 6,
  );
  return {
    method: 'POST',
    target: '/v1/events',
    body: `{"source":"s","event_type":"t","payload":{"a":${payload}}}`,
  };
}

/** @param piece makes one of different lengths. @returns as many as fit into `size`, with commas between them. */
export function pieces(piece: (index: number) => string, size: number): string {
  const all: string[] = [];
  for (let length = 0, index = 0; ; index++) {
    const next = piece(index);
    length += next.length + 1;
    if (length > size) return all.join(',');
    all.push(next);
  }
}

function listOf(piece: (index: number) => string, size: number): string {
  return `[${pieces(piece, size - 2)}]`;
}

const repeated = (unit: string, size: number): string => unit.repeat(Math.floor(size / unit.length));
/** `size` characters of what opens and what closes. */
const nested = (open: string, inside: string, close: string, size: number): string => {
  const levels = Math.floor((size - inside.length) / (open.length + close.length));
  return open.repeat(levels) + inside + close.repeat(levels);
};
const inList = (piece: string) => (size: number) => `{"a":${listOf(() => piece, size - 6)}}`;
const inString = (unit: string) => (size: number) =>
  `{"a":"${repeated(unit, Math.floor((size - 8) / (Buffer.byteLength(unit) / unit.length)))}"}`;
const members = (piece: (index: number) => string) => (size: number) => `{${pieces(piece, size - 2)}}`;

/** Payloads that are known to be heavy, or look like it. Each makes up to `size` bytes. */
export const HEAVY_PAYLOADS: Readonly<Record<string, (size: number) => string>> = {
  'one long number': (size) => `{"a":${'7'.repeat(size - 6)}}`,
  'a one and zeros': (size) => `{"a":1${'0'.repeat(size - 8)}1}`,
  'a long fraction': (size) => `{"a":0.${'7'.repeat(size - 8)}}`,
  'zeros behind the point': (size) => `{"a":0.${'0'.repeat(size - 9)}1}`,
  'a long exponent': (size) => `{"a":1e${'9'.repeat(size - 8)}}`,
  'a long exponent below 0': (size) => `{"a":10e-1${'0'.repeat(size - 11)}}`,
  'nested arrays': (size) => `{"a":${nested('[', '', ']', size - 6)}}`,
  'nested objects': (size) => nested('{"":', '0', '}', size),
  'nested arrays, unfinished objects between': (size) => nested('{"":[', '', ']}', size),
  'nested objects of two': (size) => nested('{"b":0,"a":', '0', '}', size),
  'nested __proto__': (size) => nested('{"__proto__":', '0', '}', size),
  numbers: inList('1'),
  'numbers with exponents': inList('1e1'),
  'empty strings': inList('""'),
  'empty arrays': inList('[]'),
  'empty objects': inList('{}'),
  'arrays of one': inList('[0]'),
  'objects of one': inList('{"":0}'),
  'objects of two': inList('{"b":0,"a":0}'),
  'objects that are hashed': inList(`{"a":"${'x'.repeat(96)}"}`),
  'objects, each with a name of its own': (size) =>
    `{"a":${listOf((index) => `{"${index.toString(36)}":0}`, size - 6)}}`,
  'short strings with an escape': inList('"\\n"'),
  'many names': members((index) => `"${index.toString(36)}":0`),
  'many names, the last first': members((index) => `"${String(999_999 - index)}x":0`),
  'many names with an escape': members((index) => `"\\u0061${index.toString(36)}":0`),
  'long names with one beginning': members((index) => `"${'x'.repeat(400)}${String(index)}":0`),
  'names that are integers': members((index) => `"${String(index)}":0`),
  'names that are integers far apart': members((index) => `"${String((index * 104_729) % 4_294_967_294)}":0`),
  'names that are integers, equal in the low bits': members((index) => `"${String(index * 65_536)}":0`),
  'one name many times': members(() => '"a":0'),
  '__proto__ many times': members(() => '"__proto__":{}'),
  'a string of quotes': inString('\\"'),
  'a string of backslashes': inString('\\\\'),
  'a string of escaped control characters': inString('\\u0001'),
  'a string of halves of surrogate pairs': inString('\\ud800'),
  'a string of emoji': inString('😀'),
  blanks: (size) => `{"a":${' '.repeat(size - 7)}1}`,
  'blanks between numbers': inList(' 1 '),
};

/** The largest body. */
const BODY = 524_288;
/** The longest head that the parser takes is 8,192 bytes. */
const HEAD = 8_000;

const body = (text: string): HeavyRequest => ({
  method: 'POST',
  target: '/v1/events',
  headers: [['idempotency-key', 'k']],
  body: text,
});
const query = (text: string): HeavyRequest => ({ method: 'GET', target: `/v1/inbox?${text}` });
const header = (name: string, value: string): HeavyRequest => ({
  method: 'GET',
  target: '/v1/inbox',
  headers: [[name, value]],
});

/** Requests that are heavy in another place than the payload. */
export const OTHER_REQUESTS: Readonly<Record<string, HeavyRequest>> = {
  'unknown fields': body(`{${pieces((index) => `"${index.toString(36)}":0`, BODY - 2)}}`),
  'an unknown field with a long name': body(`{"${'\\u0001'.repeat(87_000)}":0}`),
  'payload many times': body(`{"source":"s","event_type":"t",${pieces(() => '"payload":{}', BODY - 40)}}`),
  'payload many times, with an escape': body(
    `{"source":"s","event_type":"t",${pieces(() => '"p\\u0061yload":{}', BODY - 40)}}`,
  ),
  'too large a payload': body(`{"source":"s","event_type":"t","payload":{"a":"${'x'.repeat(BODY - 60)}"}}`),
  'a long source': body(`{"source":"${'x'.repeat(BODY - 60)}","event_type":"t","payload":{}}`),
  'a long source of emoji': body(`{"source":"${'👩‍👩‍👧‍👦'.repeat(20_000)}","event_type":"t","payload":{}}`),
  'metadata with many names': body(
    `{"source":"s","event_type":"t","payload":{},"metadata":{${pieces((index) => `"${index.toString(36)}":0`, 8_000)}}}`,
  ),
  'metadata that is too large': body(
    `{"source":"s","event_type":"t","payload":{},"metadata":{${pieces((index) => `"${index.toString(36)}":0`, BODY - 80)}}}`,
  ),
  'nested arrays without an end': body('['.repeat(BODY)),
  'a mistake at the end': body(`{"a":"${'x'.repeat(BODY - 10)}"`),
  'no UTF-8 at the end': body(`{"a":"${'é'.repeat(BODY / 2 - 10)}\ud800"}`),
  'too many ids': { ...body(`{"event_ids":[${repeated('"",', BODY - 20)}""]}`), target: '/v1/events/ack' },
  'many parameters': query(pieces((index) => index.toString(36), HEAD).replaceAll(',', '&')),
  ampersands: query('&'.repeat(HEAD)),
  'percent-escapes': query(`cursor=${'%20'.repeat(HEAD / 3)}`),
  'a long cursor': query(`cursor=${'A'.repeat(HEAD)}`),
  'a path of slashes': { method: 'GET', target: `/v1${'/'.repeat(HEAD)}` },
  'a path of percent-escapes': { method: 'GET', target: `/v1/events/${'%41'.repeat(HEAD / 3)}` },
  'a bearer of blanks': header('authorization', `Bearer${' '.repeat(HEAD)}`),
  'a content type of blanks': header('content-type', `application/json${' '.repeat(HEAD)}x`),
  'a long request id': header('x-request-id', 'a'.repeat(HEAD)),
  'a long cookie': header('cookie', 'a=b;'.repeat(HEAD / 4)),
};
