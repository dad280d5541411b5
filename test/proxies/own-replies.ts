import { connect } from 'node:net';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startTestApp } from '../support/app.ts';
import { ODD_REQUESTS } from '../support/odd-requests.ts';
import { startProxies } from '../support/proxies.ts';

const CLIENTS = 12;
const ROUNDS = 40;
const PIPELINED = 4;
const ATTACKERS = 4;

const KEY = `X-API-Key: ${LOCAL_KEY}`;
const SMUGGLED = `GET /v1/inbox?limit=1 HTTP/1.1\r\nHost: x\r\n${KEY}\r\nX-Request-ID: smuggled\r\n\r\n`;

/** Spellings that one parser takes for chunks and another does not. */
const ENCODINGS = [
  'Transfer-Encoding: chunked',
  'Transfer-Encoding: xchunked',
  'Transfer-Encoding : chunked',
  'Transfer-Encoding:\tchunked',
  'Transfer-Encoding: \x0bchunked',
  'Transfer-Encoding:\r\n chunked',
  'Transfer-Encoding: chunked, identity',
  'Transfer-Encoding: identity, chunked',
  'Transfer-Encoding: chunked\r\nTransfer-Encoding: x',
  'Transfer-Encoding: x\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: "chunked"',
  'Transfer-Encoding: CHUNKED',
  'Transfer_Encoding: chunked',
  'X-A: a\nTransfer-Encoding: chunked',
  'X-A: a\rTransfer-Encoding: chunked',
  ': a\r\nTransfer-Encoding: chunked',
];

/** One length that ends the request early, one that ends it late, each before and behind the encoding. */
const ATTACKS: readonly string[] = ENCODINGS.flatMap((encoding) => {
  const post = (length: number, body: string): string[] => {
    const sized = `Content-Length: ${String(length)}`;
    return [`${sized}\r\n${encoding}`, `${encoding}\r\n${sized}`].map(
      (headers) => `POST /v1/events HTTP/1.1\r\nHost: x\r\n${KEY}\r\n${headers}\r\n\r\n${body}`,
    );
  };
  const clTe = `0\r\n\r\n${SMUGGLED}`;
  const teCl = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`;
  const teZero = `1;a=b\r\n{\r\n0\r\nXXa: /v1/health HTTP/1.1\r\n\r\n${SMUGGLED}`;
  return [
    ...post(clTe.length, clTe),
    ...post(4, teCl),
    ...post(0, clTe),
    `POST /v1/events HTTP/1.1\r\nHost: x\r\n${KEY}\r\n${encoding}\r\n\r\n${clTe}`,
    `POST /v1/events HTTP/1.1\r\nHost: x\r\n${KEY}\r\n${encoding}\r\n\r\n${teZero}`,
  ];
});

interface Reply {
  readonly status: number;
  readonly requestId: string | undefined;
  readonly body: string;
}

/** Writes requests at once, on a connection of their own. @returns the replies that come until it is closed. */
function send(url: string, requests: string, expected: number): Promise<Reply[]> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let received = '';
    const socket = connect({ host: hostname, port: Number(port), noDelay: true }, () => {
      socket.write(Buffer.from(requests, 'latin1'));
    });
    const finish = (): void => {
      socket.destroy();
      resolve(parse(received));
    };
    socket.setTimeout(20_000, finish);
    socket.on('data', (data) => {
      received += data.toString('latin1');
      if (parse(received).length >= expected) finish();
    });
    socket.on('error', () => undefined);
    socket.on('close', finish);
  });
}

function parse(text: string): Reply[] {
  const replies: Reply[] = [];
  for (let at = 0; ;) {
    const end = text.indexOf('\r\n\r\n', at);
    if (end === -1) return replies;
    const head = text.slice(at, end);
    const length = Number(/^content-length: (\d+)/im.exec(head)?.[1] ?? '0');
    const body = text.slice(end + 4, end + 4 + length);
    if (body.length < length) return replies;
    const requestId = /^x-request-id: ([^\r]*)/im.exec(head)?.[1];
    replies.push({ status: Number(head.slice(9, 12)), requestId, body });
    at = end + 4 + length;
  }
}

function attackedBy(url: string, attack: string): Promise<unknown> {
  return send(url, attack, 1);
}

void t.test('nobody gets the reply to the request of another client', async (t) => {
  const app = await startTestApp(t);
  const proxies = await startProxies(t, app.url);
  for (const { name, url } of proxies) {
    const attacks = [...ATTACKS, ...ODD_REQUESTS.map(({ bytes }) => bytes('odd'))];
    let attacked = 0;
    let clientsAreThere = true;
    const attacker = async (): Promise<void> => {
      while (clientsAreThere) await attackedBy(url, attacks[attacked++ % attacks.length] ?? '');
    };
    // Those that get no answer wait for their time-out: each has a place of its own.
    const everyAttackOnce = Promise.all(attacks.map((attack) => attackedBy(url, attack)));
    const attackers = Array.from({ length: ATTACKERS }, attacker);

    let wrong = 0;
    let right = 0;
    const client = async (who: number): Promise<void> => {
      for (let round = 0; round < ROUNDS; round++) {
        const ids = Array.from(
          { length: PIPELINED },
          (_, turn) => `c${String(who)}-${String(round)}-${String(turn)}`,
        );
        const posts = ids.map((id) => {
          const body = `{"source":"own","event_type":"t","payload":{"mine":"${id}"}}`;
          return `POST /v1/events HTTP/1.1\r\nHost: x\r\n${KEY}\r\nX-Request-ID: ${id}\r\nContent-Length: ${String(body.length)}\r\n\r\n${body}`;
        });
        const created = await send(url, posts.join(''), PIPELINED);
        const events = created.map(({ body }) => /"event_id":"([^"]+)"/.exec(body)?.[1] ?? 'none');
        const reads = events.map(
          (event, turn) =>
            `GET /v1/events/${event} HTTP/1.1\r\nHost: x\r\n${KEY}\r\nX-Request-ID: r-${ids[turn] ?? ''}\r\n\r\n`,
        );
        const read = await send(url, reads.join(''), PIPELINED);
        ids.forEach((id, turn) => {
          const [first, second] = [created[turn], read[turn]];
          const own =
            first?.status === 201 &&
            first.requestId === id &&
            second?.status === 200 &&
            second.requestId === `r-${id}` &&
            second.body.includes(`"payload":{"mine":"${id}"}`);
          if (own) right++;
          else {
            wrong++;
            t.comment(`${name}: ${id} got ${JSON.stringify([first, second])}`);
          }
        });
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, (_, who) => client(who)));
    clientsAreThere = false;
    await Promise.all([...attackers, everyAttackOnce]);
    t.equal(wrong, 0, `${name}: each reply is the client's own, with ${String(attacked)} attacks meanwhile`);
    t.equal(right, CLIENTS * ROUNDS * PIPELINED);
  }
});
