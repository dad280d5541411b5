import type { TemplatedApp } from 'uWebSockets.js';
import type { Dispatch } from './dispatch.ts';
import { bodyTooLarge, errorReply, refuseAmbiguous } from './dispatch.ts';
import type { ExchangeObserver } from './exchange.ts';
import { Exchange } from './exchange.ts';

export interface MountObserver extends ExchangeObserver {
  /** A request's head has been read. */
  started(exchange: Exchange): void;
}

/** Has the app's requests answered. uWebSockets' own router has one route, for everything: `dispatch` finds what answers. */
export function mount(app: TemplatedApp, dispatch: Dispatch, observer: MountObserver): void {
  app.any('/*', (res, req) => {
    const exchange = new Exchange(res, req, dispatch.find, observer);
    observer.started(exchange);
    try {
      refuseAmbiguous(exchange.head);
    } catch (error) {
      // Closed as well: where the next request would begin cannot be told.
      exchange.replyAndClose(errorReply(exchange.match.endpoint.contract, error, exchange.requestId));
      return;
    }
    try {
      const admitted = exchange.match.endpoint.admit(exchange, exchange.hasBody);
      if (admitted === undefined) {
        receive(exchange, (body) => {
          respond(exchange, body);
        });
      } else {
        void receiveAndWait(exchange, admitted);
      }
    } catch (error) {
      fail(exchange, error);
    }
  });
}

const NO_BYTES = Buffer.alloc(0);

/** @param done gets the whole body; its bytes are gone when it returns. Not called when the exchange ends before. */
function receive(exchange: Exchange, done: (body: Buffer) => void): void {
  if (!exchange.hasBody) {
    done(NO_BYTES);
    return;
  }
  exchange.readBody(done, () => {
    fail(exchange, bodyTooLarge());
  });
}

/** For a key that has to be looked up: the body streams in meanwhile. Never rejects. */
async function receiveAndWait(exchange: Exchange, admitted: Promise<void>): Promise<void> {
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
  respond(exchange, await received);
}

/** Never throws: it answers the exchange, in the end, whatever happens. */
function respond(exchange: Exchange, body: Buffer): void {
  if (!exchange.open) return;
  const { endpoint, params } = exchange.match;
  try {
    const reply = endpoint.respond(exchange, params, body);
    if (reply instanceof Promise) {
      reply.then(
        (settled) => {
          exchange.reply(settled);
        },
        (error: unknown) => {
          fail(exchange, error);
        },
      );
    } else {
      exchange.reply(reply);
    }
  } catch (error) {
    fail(exchange, error);
  }
}

function fail(exchange: Exchange, error: unknown): void {
  exchange.refuse(errorReply(exchange.match.endpoint.contract, error, exchange.requestId));
}
