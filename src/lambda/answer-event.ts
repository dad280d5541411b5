import type { Dispatch } from '../http/dispatch.ts';
import type { LoggedRequest } from '../http/request-line.ts';
import { GatewayCall, type GatewayEvent } from './gateway-call.ts';
import { toResult, type GatewayResult } from './gateway-result.ts';
import type { Upkeep } from './upkeep.ts';

export interface EventAnswers {
  readonly dispatch: Dispatch;
  readonly upkeep: Pick<Upkeep, 'run'>;
  readonly onResponse: (request: LoggedRequest) => void;
}

/**
 * Answers events of API Gateway. When the result is there nothing is under way any more, because Lambda may freeze the process
 * then, and for ever. Only the store's call of a request that was answered late may go on.
 *
 * @returns a function that rejects with a `TypeError` for events of another kind, and with nothing else.
 */
export function answerEvents({ dispatch, upkeep, onResponse }: EventAnswers) {
  return async (event: GatewayEvent): Promise<GatewayResult> => {
    const call = new GatewayCall(event);
    const [reply] = await Promise.all([dispatch.answer(call, call.body), upkeep.run()]);
    onResponse({
      requestId: call.head.requestId,
      head: call.head,
      method: call.method,
      route: dispatch.find(call.method, call.path).endpoint.path,
      rawQuery: call.rawQuery,
      clientAddress: call.clientAddress,
      startedAt: call.startedAt,
      endedAt: performance.now(),
      principal: call.principal,
      status: reply.status,
      cause: reply.cause,
      bytesIn: call.body.length,
      bytesOut: reply.body === null ? 0 : Buffer.byteLength(reply.body),
    });
    return toResult(reply);
  };
}
