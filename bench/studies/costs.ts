/**
 * `npm run bench -- costs [--events 50]`: how many capacity units DynamoDB counts for each call of the API, by payload size, and
 * what a million events cost. The service runs against the DynamoDB at `DYNAMODB_ENDPOINT_URL`, or against a DynamoDB Local that
 * is started here; the units are those that the answers report, taken from the service's metrics.
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { freePort, startDynamoDbLocal } from '../../src/cli/dynamodb-local.ts';
import { positive } from '../harness/arguments.ts';
import { eventually } from '../harness/dynamodb.ts';
import { introduction } from '../harness/machine.ts';
import { buildService, startService } from '../harness/service.ts';

/** US dollars for a million request units, on demand, us-east-1 (aws.amazon.com/dynamodb/pricing/on-demand, since November 2024). */
const DOLLARS = { write: 0.625, read: 0.125 };

/** Bytes of payload. The largest is what `/v1` takes. */
const SIZES = [200, 1_000, 4_000, 16_000, 64_000, 409_600];
/** The unversioned contract takes less. */
const UNVERSIONED_LIMIT = 262_144;

/** Units for one event. */
export interface Units {
  readonly write: number;
  readonly read: number;
}

export interface Cost {
  readonly bytes: number;
  /** By what is done with an event; undefined where the contract does not take such a payload. */
  readonly calls: Readonly<Record<Step, Units | undefined>>;
}

const STEPS = {
  send: 'POST /v1/events',
  'send with key': 'POST /v1/events with an idempotency key',
  'send unversioned': 'POST /events',
  list: 'its share of GET /v1/inbox?limit=50',
  get: 'GET /v1/events/{id}',
  acknowledge: 'POST /v1/events/{id}/ack',
  delete: 'DELETE /v1/events/{id}, acknowledged before',
} as const;
type Step = keyof typeof STEPS;

export async function costs(args: string[]): Promise<number> {
  const { values } = parseArgs({ args, options: { events: { type: 'string', default: '50' } } });
  const events = positive('events', values.events);
  buildService();
  const given = process.env['DYNAMODB_ENDPOINT_URL'];
  console.error(`${introduction()}; DynamoDB: ${given ?? 'DynamoDB Local'}`);
  const local = given === undefined ? await startDynamoDbLocal() : undefined;
  try {
    console.log(costTable(await measureCosts(given ?? local?.endpoint ?? '', events)));
  } finally {
    await local?.stop();
  }
  return 0;
}

/** Needs `dist/`. @param events of each size; with 50 and more, a page is full. */
export async function measureCosts(
  endpoint: string,
  events: number,
  sizes: readonly number[] = SIZES,
): Promise<Cost[]> {
  const metrics = await freePort();
  const emulator = { endpoint, name: 'dynamodb' as const, pid: null, stop: () => Promise.resolve() };
  const service = await startService(emulator, {
    env: { METRICS_PORT: String(metrics), DEFAULT_RATE_LIMIT: '1000000' },
  });
  const meter = createMeter(`http://127.0.0.1:${String(metrics)}/metrics`);
  const call = createCaller(service.url, service.key);
  try {
    // The key is looked up, and its last use noted, before anything is counted.
    await eventually(() => call('GET', '/v1/inbox'));
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const found: Cost[] = [];
    for (const bytes of sizes) found.push(await measureSize(bytes, events, call, meter));
    return found;
  } finally {
    await service.stop();
  }
}

/** What the service does by itself after a call, like noting the use of a key, is over by then. */
const SETTLE_MS = 500;

type Caller = (
  method: string,
  path: string,
  body?: string,
  headers?: Record<string, string>,
) => Promise<unknown>;

async function measureSize(bytes: number, events: number, call: Caller, meter: Meter): Promise<Cost> {
  const payloads = Array.from({ length: events }, (_, index) =>
    payloadOf(bytes, `${String(bytes)} ${String(index)}`),
  );
  const each = async (work: (payload: string, index: number) => Promise<unknown>): Promise<Units> => {
    const before = await meter();
    for (const [index, payload] of payloads.entries()) await work(payload, index);
    const after = await meter();
    return { write: (after.write - before.write) / events, read: (after.read - before.read) / events };
  };
  const ids: string[] = [];
  const send = async (payload: string, headers: Record<string, string> = {}) => {
    const body = `{"source":"shop","event_type":"order.paid","payload":${payload}}`;
    const { event_id } = (await call('POST', '/v1/events', body, headers)) as { event_id: string };
    return event_id;
  };
  const remove = (id: string) => call('DELETE', `/v1/events/${id}`);

  const plain = await each(async (payload) => ids.push(await send(payload)));
  const list = await each(
    (() => {
      let listed = 0;
      return async () => {
        if (listed >= events) return;
        const page = (await call('GET', '/v1/inbox?limit=50')) as { events: unknown[] };
        listed += page.events.length;
      };
    })(),
  );
  const get = await each((_, index) => call('GET', `/v1/events/${ids[index] ?? ''}`));
  const acknowledge = await each((_, index) => call('POST', `/v1/events/${ids[index] ?? ''}/ack`));
  const deletion = await each((_, index) => remove(ids[index] ?? ''));
  const claimed: string[] = [];
  const withKey = await each(async (payload, index) =>
    claimed.push(await send(payload, { 'idempotency-key': `${String(bytes)}-${String(index)}` })),
  );
  for (const id of claimed) await remove(id);
  let unversioned: Units | undefined;
  if (bytes <= UNVERSIONED_LIMIT) {
    const made: string[] = [];
    unversioned = await each(async (payload) => {
      const { event_id } = (await call(
        'POST',
        '/events',
        `{"event_type":"order.paid","payload":${payload}}`,
      )) as { event_id: string };
      made.push(event_id);
    });
    for (const id of made) await remove(id);
  }
  return {
    bytes,
    calls: {
      send: plain,
      'send with key': withKey,
      'send unversioned': unversioned,
      list,
      get,
      acknowledge,
      delete: deletion,
    },
  };
}

/**
 * Orders with ids and amounts, as JSON of exactly so many bytes. The service compresses it to 28 %; webhooks of GitHub shrink to
 * 20 % (median).
 */
export function payloadOf(bytes: number, seed: string): string {
  let text = '{"lines":[';
  for (let line = 0; text.length < bytes; line++) {
    const digest = createHash('sha256')
      .update(`${seed} ${String(line)}`)
      .digest('hex');
    text += `${line === 0 ? '' : ','}{"sku":"${digest.slice(0, 12)}","name":"item ${String(line)}","amount":${String(parseInt(digest.slice(12, 16), 16))}}`;
    if (text.length > bytes - 120) break;
  }
  text += '],"note":"';
  return `${text}${'n'.repeat(Math.max(0, bytes - text.length - 2))}"}`;
}

function createCaller(url: string, key: string): Caller {
  return async (method, path, body, headers = {}) => {
    const response = await fetch(url + path, {
      method,
      headers: { 'x-api-key': key, 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${String(response.status)} ${text.slice(0, 200)}`);
    return JSON.parse(text) as unknown;
  };
}

/** Units so far, on all tables. */
type Meter = () => Promise<Units>;

const READS = new Set(['GetItem', 'Query', 'BatchGetItem', 'Scan']);

function createMeter(url: string): Meter {
  return async () => {
    const text = await (await fetch(url)).text();
    const units = { write: 0, read: 0 };
    for (const [, operation = '', value] of text.matchAll(
      /^triggers_dynamodb_consumed_units_total\{[^}]*operation="(\w+)"[^}]*\} (\S+)$/gm,
    )) {
      units[READS.has(operation) ? 'read' : 'write'] += Number(value);
    }
    return units;
  };
}

/** In Markdown: units an event, and dollars, by the units as shown, for a million events that are sent, listed once and acknowledged. */
export function costTable(found: readonly Cost[]): string {
  const steps = Object.keys(STEPS) as Step[];
  const rows = found.map(({ bytes, calls }) => [
    bytes.toLocaleString('en'),
    ...steps.map((step) => unitsText(calls[step])),
    dollars([calls.send, calls.list, calls.acknowledge]),
    dollars([calls['send with key'], calls.list, calls.acknowledge]),
  ]);
  const head = ['payload, bytes', ...steps, 'a million events', 'with keys'];
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function unitsText(units: Units | undefined): string {
  if (units === undefined) return '';
  const parts = [`${short(units.write)} W`, `${short(units.read)} R`];
  return parts.filter((part) => !part.startsWith('0 ')).join(' + ') || '0';
}

function short(units: number): string {
  return String(rounded(units));
}

/** A listed event's share of a page is not a whole unit, and differs a little from run to run. */
function rounded(units: number): number {
  return Math.round(units * 10) / 10;
}

function dollars(calls: readonly (Units | undefined)[]): string {
  const total = calls.reduce(
    (sum, units) =>
      sum + rounded(units?.write ?? 0) * DOLLARS.write + rounded(units?.read ?? 0) * DOLLARS.read,
    0,
  );
  return `$${total.toFixed(2)}`;
}
