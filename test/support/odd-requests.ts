import { LOCAL_KEY } from '../../src/access/local.ts';

/** A request that parsers read in different ways, or that few clients send. */
export interface OddRequest {
  readonly name: string;
  /** Of the event that it may store, as its source: of no interest where it is the name of no event. */
  readonly bytes: (source: string) => string;
  /** Sent once the reply is there. */
  readonly afterReply?: string;
  /** On each build of uWebSockets.js: see `outcomeOf` in `odd-client.ts`. */
  readonly older: string;
  readonly newer: string;
  /** Events that are stored then. */
  readonly stored: number;
}

const KEY = `X-API-Key: ${LOCAL_KEY}`;
const POST = `POST /v1/events HTTP/1.1\r\nHost: x\r\n${KEY}\r\n`;
const HEALTH = 'GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n';

const event = (source: string): string => `{"source":"${source}","event_type":"t","payload":{}}`;

type Edit = (request: string) => string;
const asIs: Edit = (request) => request;

const sized =
  (edit: Edit = asIs) =>
  (source: string): string =>
    edit(`${POST}Content-Length: ${String(event(source).length)}\r\n\r\n${event(source)}`);

const chunked =
  (edit: Edit = asIs, end = '0\r\n\r\n') =>
  (source: string): string => {
    const body = event(source);
    return edit(`${POST}Transfer-Encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n${end}`);
  };

/** The first match of `from`. */
const swap =
  (from: string | RegExp, to: string): Edit =>
  (request) =>
    request.replace(from, to);

const header = (lines: string): Edit => swap('Host: x\r\n', `Host: x\r\n${lines}\r\n`);
const encoding = (value: string): Edit => swap(/Transfer-Encoding: chunked/, `Transfer-Encoding:${value}`);
const length = (value: string): Edit => swap(/Content-Length: (\d+)/, `Content-Length:${value}`);
/** Of the first chunk. */
const chunkSize = (to: string): Edit => swap(/\r\n\r\n([0-9a-f]+)\r\n/, `\r\n\r\n${to}`);
const behind =
  (more: (source: string) => string, first: (source: string) => string) =>
  (source: string): string =>
    first(source) + more(source);

type Row = readonly [
  name: string,
  bytes: OddRequest['bytes'],
  answers: string | readonly [older: string, newer: string],
  stored?: number,
];

const REFUSED = '400 closed';
const REFUSED_BY_PARSER = 'parser 400 closed';
/** Nothing comes, and the connection is closed when it has been idle for 10 or, by the newer build, 30 s. */
const SILENCE = 'silence';
const ONLY_NEWER_ANSWERS = [SILENCE, REFUSED_BY_PARSER] as const;
const UNSUPPORTED = 'parser 505 closed';
const TOO_LARGE = 'parser 431 closed';

const TRANSFER_ENCODINGS: readonly Row[] = [
  ['chunks', chunked(), '201 closed', 1],
  ['chunks, in capitals', chunked(encoding(' CHUNKED')), '201 closed', 1],
  ['chunks, behind a tab', chunked(encoding('\tchunked')), '201 closed', 1],
  ['transfer-encoding xchunked', chunked(encoding(' xchunked')), REFUSED],
  ['transfer-encoding identity', chunked(encoding(' identity')), REFUSED],
  ['transfer-encoding gzip', chunked(encoding(' gzip')), REFUSED],
  ['transfer-encoding chunked, identity', chunked(encoding(' chunked, identity')), REFUSED],
  ['transfer-encoding identity, chunked', chunked(encoding(' identity, chunked')), REFUSED],
  ['transfer-encoding chunked, chunked', chunked(encoding(' chunked, chunked')), REFUSED],
  ['transfer-encoding with a parameter', chunked(encoding(' chunked;q=1')), REFUSED],
  ['transfer-encoding in quotes', chunked(encoding(' "chunked"')), REFUSED],
  ['transfer-encoding behind a control character', chunked(encoding(' \x0bchunked')), ONLY_NEWER_ANSWERS],
  ['transfer-encoding on a folded line', chunked(encoding('\r\n chunked')), ONLY_NEWER_ANSWERS],
  ['transfer-encoding, blank before the colon', chunked(swap('Encoding:', 'Encoding :')), ONLY_NEWER_ANSWERS],
  ['transfer-encoding empty', chunked(encoding('')), REFUSED],
  ['transfer-encoding empty, with a length', sized(header('Transfer-Encoding:')), REFUSED],
  ['transfer-encoding twice', chunked(header('Transfer-Encoding: identity')), REFUSED],
  ['transfer_encoding beside a length', sized(header('Transfer_Encoding: chunked')), '201 open', 1],
];

const LENGTHS: readonly Row[] = [
  ['length and chunks', chunked(header('Content-Length: 5')), REFUSED_BY_PARSER],
  ['length 0 and chunks', chunked(header('Content-Length: 0')), REFUSED_BY_PARSER],
  ['empty length and chunks', chunked(header('Content-Length:')), REFUSED],
  ['length empty', (source) => `${POST}Content-Length:\r\n\r\n${event(source)}`, REFUSED],
  ['length empty, without a body', () => `${POST}Content-Length:\r\n\r\n`, REFUSED],
  ['length twice, the same', sized(length(' $1\r\nContent-Length: $1')), REFUSED],
  ['length twice', sized(length(' $1\r\nContent-Length: 1$1')), REFUSED],
  ['length as a list', sized(length(' $1, $1')), REFUSED_BY_PARSER],
  ['length with a plus', sized(length(' +$1')), REFUSED_BY_PARSER],
  ['length with a minus', sized(length(' -$1')), REFUSED_BY_PARSER],
  ['length in hexadecimal', sized(length(' 0x2a')), REFUSED_BY_PARSER],
  ['length of 20 digits', sized(length(' 99999999999999999999')), REFUSED_BY_PARSER],
  ['length with leading zeros', sized(length(' 000$1')), '201 open', 1],
  ['length, blank before the colon', sized(swap('Length:', 'Length :')), ONLY_NEWER_ANSWERS],
  ['length named by connection', sized(header('Connection: Content-Length')), '201 open', 1],
  ['no length, but a body', (source) => `${POST}\r\n${event(source)}`, '400 open'],
];

const CHUNKS: readonly Row[] = [
  ['chunk with an extension', chunked(chunkSize('$1;a=b\r\n')), SILENCE],
  ['chunk with an empty extension', chunked(chunkSize('$1;\r\n')), SILENCE],
  ['chunk with an extension behind a blank', chunked(chunkSize('$1 ;a=b\r\n')), '201 closed', 1],
  ['last chunk with an extension', chunked(asIs, '0;a=b\r\n\r\n'), SILENCE],
  ['chunk size ended by LF', chunked(chunkSize('$1\n')), '201 closed', 1],
  ['chunk not ended by CRLF', chunked(swap('}}\r\n', '}}XX')), '201 closed', 1],
  ['chunk size zz', chunked(chunkSize('zz\r\n')), REFUSED_BY_PARSER],
  ['chunk size 0x2a', chunked(chunkSize('0x$1\r\n')), REFUSED_BY_PARSER],
  ['chunk size -1', chunked(chunkSize('-1\r\n')), REFUSED_BY_PARSER],
  ['chunk size of 17 digits', chunked(chunkSize('fffffffffffffffff\r\n')), REFUSED_BY_PARSER],
  [
    'too many chunks',
    () =>
      `${POST}Transfer-Encoding: chunked\r\n\r\n${`f000\r\n${' '.repeat(0xf000)}\r\n`.repeat(10)}0\r\n\r\n`,
    '413 closed',
  ],
  ['trailer announced', chunked(header('Trailer: X-Sum'), '0\r\nX-Sum: 1\r\n\r\n'), UNSUPPORTED],
  ['trailer announced that does not come', chunked(header('Trailer: X-Sum')), REFUSED],
  ['trailer not announced', chunked(asIs, '0\r\nX-Sum: 1\r\n\r\n'), UNSUPPORTED],
  ['trailer like a request', chunked(asIs, '0\r\nXXa: /v1/health HTTP/1.1\r\nHost: x\r\n\r\n'), 'closed'],
];

const BEHIND: readonly Row[] = [
  [
    'event behind a length given twice',
    behind(sized(), () => `${POST}Content-Length: 0\r\nContent-Length: 9\r\n\r\n`),
    'closed',
  ],
  [
    'event behind a key given twice',
    behind(sized(), () => `GET /v1/inbox HTTP/1.1\r\nHost: x\r\n${KEY}\r\n${KEY}\r\n\r\n`),
    'closed',
  ],
  [
    'health behind a length given twice',
    () => `${POST}Content-Length: 0\r\nContent-Length: 9\r\n\r\n${HEALTH}`,
    'closed',
  ],
  ['event behind chunks', behind(sized(), chunked()), 'closed'],
  ['health behind chunks without a key', behind(() => HEALTH, chunked(swap(KEY, 'X-No: key'))), 'closed'],
  ['event behind an event', behind(sized(), sized()), 'closed', 1],
  ['health three times', () => HEALTH.repeat(3), '200 200 200 open'],
];

const HEADERS: readonly Row[] = [
  ['host twice', sized(header('Host: y')), [REFUSED, REFUSED_BY_PARSER]],
  ['host twice, the same', sized(header('Host: x')), [REFUSED, REFUSED_BY_PARSER]],
  ['no host', sized(swap('Host: x\r\n', '')), REFUSED_BY_PARSER],
  ['no header at all', () => 'GET /v1/health HTTP/1.1\r\n\r\n', ONLY_NEWER_ANSWERS],
  ['host empty', sized(swap('Host: x', 'Host:')), '201 open', 1],
  ['NUL in a value', sized(header('X-A: a\0b')), ONLY_NEWER_ANSWERS],
  ['NUL in a name', sized(header('X-\0A: a')), ONLY_NEWER_ANSWERS],
  ['control character in a value', sized(header('X-A: a\x01b')), ONLY_NEWER_ANSWERS],
  ['DEL in a value', sized(header('X-A: a\x7fb')), '201 open', 1],
  ['CR in a value', sized(header('X-A: a\rb')), SILENCE],
  ['LF in a value', sized(header('X-A: a\nX-B: b')), ONLY_NEWER_ANSWERS],
  ['byte beyond ASCII in a value', sized(header('X-A: \xe9')), '201 open', 1],
  ['folded line', sized(header('X-A: a\r\n b')), ONLY_NEWER_ANSWERS],
  ['blank before a name', sized(header(' X-A: a')), ONLY_NEWER_ANSWERS],
  ['blank before a colon', sized(header('X-A : a')), ONLY_NEWER_ANSWERS],
  ['name empty', sized(header(': a')), '401 open'],
  ['no colon', sized(header('abc')), ONLY_NEWER_ANSWERS],
  ['120 headers', sized(header(Array<string>(120).fill('a: 1').join('\r\n'))), TOO_LARGE],
  ['header of 9,000 bytes', sized(header(`X-A: ${'a'.repeat(9_000)}`)), TOO_LARGE],
  ['expecting 100', sized(header('Expect: 100-continue')), '100 201 open', 1],
  ['expecting something else', sized(header('Expect: beer')), '201 open', 1],
  [
    'upgrade to a web socket',
    () => HEALTH.replace('x\r\n', 'x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n'),
    '200 open',
  ],
  [
    'upgrade to HTTP/2',
    () =>
      HEALTH.replace(
        'x\r\n',
        'x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n',
      ),
    '200 open',
  ],
];

const REQUEST_LINES: readonly Row[] = [
  ['CRLF before the request', sized((request) => `\r\n${request}`), SILENCE],
  ['LF before the request', sized((request) => `\n${request}`), UNSUPPORTED],
  ['lines ended by LF', sized((request) => request.replaceAll('\r\n', '\n')), UNSUPPORTED],
  ['HTTP/1.0', sized(swap('HTTP/1.1', 'HTTP/1.0')), UNSUPPORTED],
  ['HTTP/2 without a word before', () => 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', UNSUPPORTED],
  ['TLS', () => '\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00', UNSUPPORTED],
  ['absolute target', sized(swap('/v1/events', 'http://x/v1/events')), UNSUPPORTED],
  ['asterisk', () => `OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n`, UNSUPPORTED],
  ['CONNECT', () => 'CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n', UNSUPPORTED],
  ['method in lower case', sized(swap('POST', 'post')), '405 open'],
  ['two blanks', sized(swap('POST ', 'POST  ')), UNSUPPORTED],
  ['tab for a blank', sized(swap('POST ', 'POST\t')), UNSUPPORTED],
  ['blank in the path', sized(swap('/v1/events', '/v1/ev ents')), UNSUPPORTED],
  ['path of 9,000 bytes', () => HEALTH.replace('health', 'a'.repeat(9_000)), TOO_LARGE],
  ['GET with a body', sized(swap('POST /v1/events', 'GET /v1/health')), '200 open'],
  ['HEAD with chunks', chunked(swap('POST /v1/events', 'HEAD /v1/health')), '200 closed'],
];

const AFTER_REPLY: readonly OddRequest[] = [
  ['trailer behind the reply', 'X-Sum: 1\r\n\r\n'],
  ['request behind the reply to chunks', HEALTH],
].map(([name = '', afterReply = '']) => ({
  name,
  bytes: chunked(),
  afterReply,
  older: '201 closed',
  newer: '201 closed',
  stored: 1,
}));

export const ODD_REQUESTS: readonly OddRequest[] = [
  ...[TRANSFER_ENCODINGS, LENGTHS, CHUNKS, BEHIND, HEADERS, REQUEST_LINES]
    .flat()
    .map(([name, bytes, answers, stored = 0]) => {
      const [older, newer] = typeof answers === 'string' ? [answers, answers] : answers;
      return { name, bytes, older, newer, stored };
    }),
  ...AFTER_REPLY,
];
