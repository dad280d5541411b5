import { connect } from 'node:net';
import type { OddRequest } from './odd-requests.ts';

/** Nothing of ours takes so long, and uWebSockets closes what is idle after 10 s or, the newer build, 30 s. */
const IDLE_MS = 5_000;
/** Also of a connection that a proxy keeps waiting. */
const PATIENCE_MS = 45_000;
const PROBE = 'GET /v1/health HTTP/1.1\r\nHost: x\r\nX-Request-ID: probe\r\n\r\n';

export interface Outcome {
  /**
   * The statuses in their order, each with `parser` before it where uWebSockets answers by itself, and what happens to the
   * connection: `open` (it is good for a next request), `closed`, `silence` (nothing comes until it is closed as idle),
   * `waiting` (nothing came, and it was not closed either).
   */
  readonly text: string;
  /** Final ones. */
  readonly statuses: readonly number[];
}

/** Sends a request on a connection of its own and, once there is a reply, another one, to see whether that is good. */
export function outcomeOf(
  url: string,
  { bytes, afterReply = '' }: OddRequest,
  source: string,
): Promise<Outcome> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let received = '';
    let probed = false;
    let lastSign = performance.now();
    const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => {
      socket.write(Buffer.from(bytes(source), 'latin1'));
    });
    const finish = (end: string): void => {
      clearTimeout(timeout);
      socket.destroy();
      resolve(describe(received, end));
    };
    const timeout = setTimeout(finish, PATIENCE_MS, 'waiting');
    socket.on('data', (data) => {
      received += data.toString('latin1');
      lastSign = performance.now();
      if (/^x-request-id: probe\r$/im.test(received)) finish('open');
      else if (!probed && repliesIn(received).some(({ status }) => status >= 200)) {
        probed = true;
        socket.write(afterReply + PROBE);
      }
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      finish(performance.now() - lastSign > IDLE_MS ? 'silence' : 'closed');
    });
  });
}

interface RawReply {
  readonly status: number;
  readonly head: string;
}

function repliesIn(text: string): RawReply[] {
  return [...text.matchAll(/HTTP\/1\.[01] (\d{3})([^]*?)\r\n\r\n/g)].map(([, status, head = '']) => ({
    status: Number(status),
    head,
  }));
}

function describe(received: string, end: string): Outcome {
  const replies = repliesIn(received).filter(({ head }) => !/^x-request-id: probe\r?$/im.test(head));
  const words = replies.map(({ status, head }) =>
    status < 200 || /^x-request-id:/im.test(head) ? String(status) : `parser ${String(status)}`,
  );
  return {
    text: [...words, end].join(' '),
    statuses: replies.map(({ status }) => status).filter((status) => status >= 200),
  };
}

/** How many events each source has in the inbox of the local key. */
export async function countBySource(
  request: (path: string) => Promise<unknown>,
): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  let cursor: string | null = null;
  do {
    const page = (await request(
      `/v1/inbox?limit=100${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
    )) as {
      events: { source: string }[];
      pagination: { next_cursor: string | null };
    };
    for (const { source } of page.events) counts.set(source, (counts.get(source) ?? 0) + 1);
    cursor = page.pagination.next_cursor;
  } while (cursor !== null);
  return counts;
}
