import type { us_listen_socket } from 'uWebSockets.js';
import type { Origins } from './cors.ts';
import type { Dispatch } from './dispatch.ts';
import { lateReply, REPLY_DEADLINE_MS } from './dispatch.ts';
import type { Exchange } from './exchange.ts';
import { listen } from './listen.ts';
import { createMemory } from './memory.ts';
import type { MountObserver } from './mount.ts';
import { mount } from './mount.ts';
import { App, us_listen_socket_close, us_socket_local_port } from './uws.ts';

/** The longest time from the head of a request to the last byte of its body; then the connection is closed. */
const BODY_DEADLINE_MS = 30_000;
const DEADLINE_CHECK_MS = 100;
/** While draining: after this time without a request, the load balancer is assumed to have noticed. */
const QUIET_MS = 500;

export interface ServerOptions {
  readonly dispatch: Dispatch;
  /** That may use the API from a browser. */
  readonly corsOrigins: Origins;
  readonly onRequest: (exchange: Exchange) => void;
  /** Called after the reply, or when the client has gone. */
  readonly onResponse: (exchange: Exchange) => void;
}

export interface Server {
  /** @returns the port: the given one, or a free one for 0. Rejects with a `ListenError`. */
  listen(host: string, port: number): Promise<number>;
  /**
   * Ends in good order within the grace. First it serves on until no request has come for half a second (at most half of the
   * grace) and asks clients to close their connections. Then it takes no new connections and waits for what is in flight. Then
   * it closes all connections.
   */
  drain(graceMs: number): Promise<void>;
}

export function createServer({ dispatch, corsOrigins, onRequest, onResponse }: ServerOptions): Server {
  const inFlight = new Set<Exchange>();
  let closing = false;
  let lastRequestAt = 0;
  let whenIdle: (() => void) | undefined;
  let socket: us_listen_socket | undefined;

  const observer: MountObserver = {
    get closing() {
      return closing;
    },
    started(exchange) {
      lastRequestAt = exchange.startedAt;
      inFlight.add(exchange);
      onRequest(exchange);
    },
    ended(exchange) {
      inFlight.delete(exchange);
      onResponse(exchange);
      if (inFlight.size === 0) whenIdle?.();
    },
  };

  const app = App();
  mount(app, dispatch, observer, createMemory(), corsOrigins);
  const deadlines = setInterval(() => {
    enforceDeadlines(inFlight);
  }, DEADLINE_CHECK_MS);
  deadlines.unref();

  return {
    async listen(host, port) {
      socket = await listen(app, host, port);
      return us_socket_local_port(socket);
    },
    async drain(graceMs) {
      closing = true;
      const start = performance.now();
      lastRequestAt = start;
      while (performance.now() - start < graceMs / 2 && performance.now() - lastRequestAt < QUIET_MS) {
        await sleep(QUIET_MS / 10);
      }
      if (socket !== undefined) us_listen_socket_close(socket);
      if (inFlight.size > 0) {
        const idle = new Promise<void>((resolve) => (whenIdle = resolve));
        await Promise.race([idle, sleep(graceMs - (performance.now() - start))]);
      }
      clearInterval(deadlines);
      app.close();
    },
  };
}

function enforceDeadlines(inFlight: ReadonlySet<Exchange>): void {
  const now = performance.now();
  for (const exchange of inFlight) {
    if (!exchange.open) {
      exchange.check(now);
      continue;
    }
    const receivedAt = exchange.hasBody ? exchange.receivedAt : exchange.startedAt;
    if (receivedAt === undefined) {
      if (now - exchange.startedAt > BODY_DEADLINE_MS) exchange.drop();
    } else if (now - receivedAt > REPLY_DEADLINE_MS) {
      exchange.reply(lateReply(exchange.match.endpoint.contract, exchange.requestId));
    }
  }
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
