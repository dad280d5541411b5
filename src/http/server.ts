import type { us_listen_socket } from 'uWebSockets.js';
import { createApps } from './apps.ts';
import type { TlsFiles } from './certificate.ts';
import type { Origins } from './cors.ts';
import type { Dispatch } from './dispatch.ts';
import { lateReply, REPLY_DEADLINE_MS } from './dispatch.ts';
import type { Exchange } from './exchange.ts';
import { listen } from './listen.ts';
import { createMemory } from './memory.ts';
import type { MountObserver } from './mount.ts';
import { mount } from './mount.ts';
import { drain, type Activity } from './drain.ts';
import { countConnections, us_listen_socket_close, us_socket_local_port } from './uws.ts';

/** The longest time from the head of a request to the last byte of its body; then the connection is closed. */
const BODY_DEADLINE_MS = 30_000;
/** Each exchange is looked at so often. */
const DEADLINE_CHECK_MS = 100;
/** That many are looked at together; of more, a part at a time: each that waits may need a blank. */
const CHECKED_TOGETHER = 400;

export interface ServerOptions {
  readonly dispatch: Dispatch;
  /** That may use the API from a browser. */
  readonly corsOrigins: Origins;
  /** The path at which load balancers ask whether the process takes requests. */
  readonly readyPath: string;
  /** Null for plain HTTP. */
  readonly tls: TlsFiles | null;
  readonly onRequest: (exchange: Exchange) => void;
  /** Called after the reply, or when the client has gone. */
  readonly onResponse: (exchange: Exchange) => void;
}

export interface Server {
  /** @returns the port: the given one, or a free one for 0. Rejects with a `ListenError`. */
  listen(host: string, port: number): Promise<number>;
  /** As `Apps`. */
  readonly renewCertificate: () => void;
  /** Ends in good order within the grace (`drain.ts`), then closes all connections. */
  drain(graceMs: number): Promise<void>;
}

/** Throws a `CertificateError`. */
export function createServer(options: ServerOptions): Server {
  const { dispatch, corsOrigins, readyPath, tls, onRequest, onResponse } = options;
  const inFlight = new Set<Exchange>();
  let closing = false;
  let lastRequestAt = -Infinity;
  let lastProbeAt = -Infinity;
  let socket: us_listen_socket | undefined;

  const observer: MountObserver = {
    get closing() {
      return closing;
    },
    started(exchange) {
      if (exchange.path === readyPath) lastProbeAt = exchange.startedAt;
      else lastRequestAt = exchange.startedAt;
      inFlight.add(exchange);
      onRequest(exchange);
    },
    ended(exchange) {
      inFlight.delete(exchange);
      onResponse(exchange);
    },
  };

  const memory = createMemory();
  let connections = 0;
  const apps = createApps(tls, (app) => {
    countConnections(app, (by) => {
      connections += by;
    });
    mount(app, dispatch, observer, memory, corsOrigins);
  });
  const stopDeadlines = checkAll(inFlight, enforceDeadline);
  const activity: Activity = {
    lastRequestAt: () => lastRequestAt,
    lastProbeAt: () => lastProbeAt,
    inFlight: () => inFlight.size,
    connections: () => connections,
  };

  return {
    async listen(host, port) {
      socket = await listen(apps.first, host, port);
      return us_socket_local_port(socket);
    },
    renewCertificate: apps.renewCertificate,
    async drain(graceMs) {
      closing = true;
      await drain(activity, graceMs, () => {
        if (socket !== undefined) us_listen_socket_close(socket);
      });
      stopDeadlines();
      apps.close();
    },
  };
}

/** Looks at each of them every `DEADLINE_CHECK_MS`. Returns what ends that. */
function checkAll<Each>(all: ReadonlySet<Each>, look: (each: Each, now: number) => void): () => void {
  let rest = all.values();
  let timer: NodeJS.Timeout;
  const checkPart = (): void => {
    const parts = Math.min(Math.ceil(all.size / CHECKED_TOGETHER) || 1, DEADLINE_CHECK_MS / 4);
    const now = performance.now();
    for (let left = Math.ceil(all.size / parts); left > 0; left--) {
      let next = rest.next();
      if (next.done === true) next = (rest = all.values()).next();
      if (next.done === true) break;
      look(next.value, now);
    }
    timer = setTimeout(checkPart, DEADLINE_CHECK_MS / parts).unref();
  };
  timer = setTimeout(checkPart, DEADLINE_CHECK_MS).unref();
  return () => {
    clearTimeout(timer);
  };
}

function enforceDeadline(exchange: Exchange, now: number): void {
  exchange.check(now);
  if (!exchange.open) return;
  const receivedAt = exchange.hasBody ? exchange.receivedAt : exchange.startedAt;
  if (receivedAt === undefined) {
    if (now - exchange.startedAt > BODY_DEADLINE_MS) exchange.drop();
  } else if (now > (exchange.replyBy ?? receivedAt + REPLY_DEADLINE_MS)) {
    exchange.reply(lateReply(exchange.match.endpoint.contract, exchange.requestId));
  }
}
