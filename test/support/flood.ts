/** Sends events in an open loop, in a process of its own, so that the test beside it sees the service and not the load. */
import { setTimeout as sleep } from 'node:timers/promises';
import { LOADER, runToJson } from '../../bench/harness/process.ts';
import { openConnection, requestBytes, type Connection } from '../../bench/load/connection.ts';

export interface Flood {
  readonly url: string;
  readonly key: string;
  readonly perSecond: number;
  readonly seconds: number;
  /** Of each payload. */
  readonly bytes: number;
}

/** What became of the requests of a flood. Latencies are in milliseconds, from the request to its whole reply, in order of size. */
export interface Flooded {
  /** Got 201. */
  readonly accepted: readonly number[];
  /** Got 503 with `Retry-After`. */
  readonly refused: readonly number[];
  /** Everything else, a 503 without it included. */
  readonly wrong: readonly string[];
}

/** @param floods run side by side, and each gets what became of it. */
export function flood(floods: readonly Flood[]): Promise<Flooded[]> {
  return runToJson([LOADER, 'test/support/flood.ts', JSON.stringify(floods)], 'any');
}

/** No request takes longer, so there are never more under way. */
const ANSWERED_AFTER_SECONDS = 2;
/** Connections are opened before the flood, a few at a time: a storm of new connections is a load of another kind. */
const OPENED_AT_ONCE = 50;
const TICK_MS = 5;

async function openConnections({ url, perSecond }: Flood): Promise<Connection[]> {
  const opened: Connection[] = [];
  while (opened.length < perSecond * ANSWERED_AFTER_SECONDS) {
    for (let n = 0; n < OPENED_AT_ONCE; n++) opened.push(openConnection(url));
    await sleep(TICK_MS);
  }
  return opened;
}

function eventBody(bytes: number): string {
  return JSON.stringify({ source: 'flood', event_type: 'made', payload: { fill: 'x'.repeat(bytes) } });
}

/** Each request is sent when it is due, whatever became of those before it. */
async function send(job: Flood, connections: readonly Connection[]): Promise<Flooded> {
  const { url, perSecond, seconds, bytes } = job;
  const request = requestBytes(job, {
    method: 'POST',
    path: '/v1/events',
    body: eventBody(bytes),
    status: 201,
  });
  const accepted: number[] = [];
  const refused: number[] = [];
  const wrong: string[] = [];
  const idle = [...connections];
  let underWay = 0;

  const one = (connection: Connection): void => {
    const from = performance.now();
    underWay++;
    connection.exchange(request, {
      answered(status, reply) {
        underWay--;
        idle.push(connection);
        const ms = performance.now() - from;
        if (status === 201) accepted.push(ms);
        else if (status === 503 && /\r\nretry-after: \d+\r\n/i.test(reply)) refused.push(ms);
        else wrong.push(reply.slice(0, 300));
      },
      failed(error) {
        underWay--;
        wrong.push(String(error));
      },
    });
  };
  const start = performance.now();
  for (let sent = 0; sent < perSecond * seconds;) {
    const due = Math.min(perSecond * seconds, ((performance.now() - start) * perSecond) / 1000);
    for (; sent < due; sent++) {
      let connection = idle.pop();
      while (connection?.usable === false) connection = idle.pop();
      one(connection ?? openConnection(url));
    }
    await sleep(TICK_MS);
  }
  while (underWay > 0) await sleep(TICK_MS);
  const bySize = (a: number, b: number): number => a - b;
  return { accepted: accepted.sort(bySize), refused: refused.sort(bySize), wrong };
}

if (process.argv[1]?.endsWith('test/support/flood.ts')) {
  const floods = JSON.parse(process.argv[2] ?? '[]') as Flood[];
  const connections = await Promise.all(floods.map(openConnections));
  const ends = await Promise.all(floods.map((each, n) => send(each, connections[n] ?? [])));
  console.log(JSON.stringify(ends));
  process.exit();
}
