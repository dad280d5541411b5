import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { Call, Target } from './job.ts';

/** What becomes of an exchange: exactly one of the two is called, before the connection is free again. */
export interface Outcome {
  /** @param reply head and body, a character for each byte. */
  answered(status: number, reply: string): void;
  failed(error: Error): void;
}

/**
 * A connection that carries one request after the other. It looks at no more of an answer than its status and its end, so
 * that a measurement is of the server and not of the load: docs/decisions/030-how-speed-is-measured.md.
 */
export interface Connection {
  /** False once it failed or the server has closed it. */
  readonly usable: boolean;
  /** Sends at once, or as soon as it is connected. Only while no other request is under way. */
  exchange(request: Buffer, outcome: Outcome): void;
  close(): void;
}

export function openConnection(url: string): Connection {
  const socket = connectTo(url);
  let received = '';
  let underWay: Outcome | undefined;
  let broken: Error | undefined;

  const settle = (report: (outcome: Outcome) => void): void => {
    const outcome = underWay;
    underWay = undefined;
    received = '';
    if (outcome) report(outcome);
  };
  const fail = (error: Error): void => {
    broken ??= error;
    settle((outcome) => {
      outcome.failed(error);
    });
  };
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1');
    if (!isWhole(received)) return;
    const reply = received;
    if (CLOSING.test(reply.slice(0, reply.indexOf(HEAD_END)))) broken ??= closed();
    settle((outcome) => {
      outcome.answered(Number(reply.slice(9, 12)), reply);
    });
  });
  socket.on('error', fail);
  socket.on('close', () => {
    fail(closed());
  });
  return {
    get usable() {
      return broken === undefined;
    },
    exchange(request, outcome) {
      if (broken) {
        outcome.failed(broken);
        return;
      }
      underWay = outcome;
      socket.write(request);
    },
    close() {
      underWay = undefined;
      socket.destroy();
    },
  };
}

/** Rejects when there is no answer. */
export function exchange(
  connection: Connection,
  request: Buffer,
): Promise<{ readonly status: number; readonly reply: string }> {
  return new Promise((resolve, reject) => {
    connection.exchange(request, {
      answered: (status, reply) => {
        resolve({ status, reply });
      },
      failed: reject,
    });
  });
}

function closed(): Error {
  return new Error('the server closed the connection');
}

/** The bytes of a request. */
export function requestBytes(
  { url, key }: Pick<Target, 'url' | 'key'>,
  { method, path, body = '' }: Call,
): Buffer {
  const { host, pathname } = new URL(url);
  return Buffer.from(
    `${method} ${pathname.replace(/\/$/, '')}${path} HTTP/1.1\r\nhost: ${host}\r\nx-api-key: ${key}\r\ncontent-type: application/json\r\n` +
      `content-length: ${String(Buffer.byteLength(body))}\r\n\r\n${body}`,
  );
}

/** The body of a reply, as text. */
export function bodyOf(reply: string): string {
  const headEnd = reply.indexOf(HEAD_END);
  const body = reply.slice(headEnd + HEAD_END.length);
  const whole = CHUNKED.test(reply.slice(0, headEnd)) ? joinChunks(body) : body;
  return Buffer.from(whole, 'latin1').toString('utf8');
}

/** Chunked transfer coding, RFC 9112, section 7.1. */
function joinChunks(body: string): string {
  let joined = '';
  for (let at = 0; ;) {
    const sizeEnd = body.indexOf('\r\n', at);
    const size = parseInt(body.slice(at, sizeEnd), 16);
    if (!(size > 0)) return joined;
    joined += body.slice(sizeEnd + 2, sizeEnd + 2 + size);
    at = sizeEnd + 2 + size + 2;
  }
}

function connectTo(url: string): Socket {
  const { protocol, hostname: host, port } = new URL(url);
  if (protocol === 'https:') return connectTls({ host, port: Number(port || 443), servername: host });
  return connect({ host, port: Number(port || 80), noDelay: true });
}

const HEAD_END = '\r\n\r\n';
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CLOSING = /\r\nconnection: *close/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;

function isWhole(received: string): boolean {
  const headEnd = received.indexOf(HEAD_END);
  if (headEnd === -1) return false;
  const head = received.slice(0, headEnd);
  const length = LENGTH.exec(head);
  if (length === null && CHUNKED.test(head)) return received.endsWith('\r\n0\r\n\r\n');
  return received.length >= headEnd + HEAD_END.length + Number(length?.[1] ?? 0);
}
