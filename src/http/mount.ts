import type { TemplatedApp } from 'uWebSockets.js';
import { PAGE_PAYLOAD_BYTES } from '../store/event-store.ts';
import { StoreOverloadedError } from '../store/store-errors.ts';
import { CorsExchange, type Origins } from './cors.ts';
import type { Dispatch } from './dispatch.ts';
import { errorReply, refuseAmbiguous } from './dispatch.ts';
import type { ExchangeObserver } from './exchange.ts';
import { Exchange } from './exchange.ts';
import type { Memory } from './memory.ts';
import type { Reply } from './reply.ts';
import { bodyTooLarge, invalidField } from './request-error.ts';
import { createLoopTurns, type LoopTurns } from './loop-turns.ts';

export interface MountObserver extends ExchangeObserver {
  /** A request's head has been read. */
  started(exchange: Exchange): void;
}

/** What all requests share. */
interface Shared {
  readonly memory: Memory;
  readonly pages: LoopTurns;
}

/**
 * Answers the requests of the app. uWebSockets' own router has one route for everything; `dispatch` finds the endpoint.
 *
 * @param origins that may use the API from a browser.
 */
export function mount(
  app: TemplatedApp,
  dispatch: Dispatch,
  observer: MountObserver,
  memory: Memory,
  origins: Origins,
): void {
  const shared: Shared = { memory, pages: createLoopTurns(PAGES_MS_PER_TURN) };
  if (origins.length === 0) {
    app.any('/*', (res, req) => {
      const exchange = new Exchange(res, req, dispatch.find, observer, memory);
      observer.started(exchange);
      serve(exchange, shared);
    });
    return;
  }
  app.any('/*', (res, req) => {
    const exchange = new CorsExchange(origins, res, req, dispatch.find, observer, memory);
    observer.started(exchange);
    if (exchange.preflight) exchange.refuse(exchange.preflight);
    else serve(exchange, shared);
  });
}

/** To be called before anything asynchronous happens to the exchange. */
function serve(exchange: Exchange, shared: Shared): void {
  try {
    refuseAmbiguous(exchange.head);
  } catch (error) {
    // The connection is closed, because it is uncertain where the next request begins.
    exchange.reply(errorReply(exchange.match.endpoint.contract, error, exchange.requestId), true);
    return;
  }
  try {
    const admitted = exchange.match.endpoint.admit(exchange, exchange.hasBody);
    if (admitted === undefined) {
      receive(exchange, (body) => {
        respond(exchange, body, shared);
      });
    } else {
      void receiveAndWait(exchange, admitted, shared);
    }
  } catch (error) {
    fail(exchange, error);
  }
}

/** How long pages of inboxes may take in one turn of the event loop, and so how long other requests wait for them. */
const PAGES_MS_PER_TURN = 5;

const NO_BYTES = Buffer.alloc(0);

/** @param done gets the whole body; its bytes are gone when it returns. Not called when the exchange ends before. */
function receive(exchange: Exchange, done: (body: Buffer) => void): void {
  if (!exchange.hasBody) {
    done(NO_BYTES);
    return;
  }
  exchange.readBody(done, (why) => {
    const tooLarge = why === 'too-large';
    fail(
      exchange,
      tooLarge
        ? bodyTooLarge(exchange.match.endpoint.bodyLimit)
        : new StoreOverloadedError('too many bytes of request bodies are under way'),
    );
  });
}

/** Waits for a key to be looked up while the body arrives. Never rejects. */
async function receiveAndWait(exchange: Exchange, admitted: Promise<void>, shared: Shared): Promise<void> {
  const received = new Promise<Buffer>((resolve) => {
    receive(exchange, (body) => {
      resolve(Buffer.from(body));
    });
  });
  try {
    await admitted;
  } catch (error) {
    fail(exchange, error);
    return;
  }
  respond(exchange, await received, shared);
}

/** Never throws: the exchange is answered whatever happens. */
function respond(exchange: Exchange, body: Buffer, { memory, pages }: Shared): void {
  if (!exchange.match.endpoint.paged) {
    respondNow(exchange, body);
    return;
  }
  // The reply to a body in chunks closes the connection, so it cannot be handed over in pieces.
  if (exchange.head.chunked) {
    const instead = exchange.method === 'POST' ? 'send the body with a Content-Length' : 'send no body';
    fail(exchange, invalidField('Transfer-Encoding', `is not taken here; ${instead}`));
    return;
  }
  let own = body;
  let hasRun = false as boolean;
  pages.run(exchange.tenant, () => {
    hasRun = true;
    // This comes before the page is read, because a page that is then refused would waste its CPU.
    if (memory.replies.room(exchange.tenant) < PAGE_PAYLOAD_BYTES) fail(exchange, noRoomForReply());
    else respondNow(exchange, own);
  });
  // Its bytes are gone when this returns.
  if (!hasRun) own = Buffer.from(body);
}

function respondNow(exchange: Exchange, body: Buffer): void {
  if (!exchange.open) return;
  const { endpoint, params } = exchange.match;
  try {
    const reply = endpoint.respond(exchange, params, body);
    if (reply instanceof Promise) {
      reply.then(
        (settled) => {
          send(exchange, settled);
        },
        (error: unknown) => {
          fail(exchange, error);
        },
      );
    } else {
      send(exchange, reply);
    }
  } catch (error) {
    fail(exchange, error);
  }
}

function send(exchange: Exchange, reply: Reply): void {
  if (exchange.reply(reply)) return;
  reply.unsent?.();
  fail(exchange, noRoomForReply());
}

function fail(exchange: Exchange, error: unknown): void {
  exchange.refuse(errorReply(exchange.match.endpoint.contract, error, exchange.requestId));
}

function noRoomForReply(): StoreOverloadedError {
  return new StoreOverloadedError('too many bytes of replies wait for their readers');
}
