import { Writable } from 'node:stream';
import t from 'tap';
import type { Exchange } from '../../src/http/exchange.ts';
import { requestLog } from '../../src/http/request-log.ts';
import { createLogger } from '../../src/log.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../../src/store/store-errors.ts';
import type { Json } from '../support/app.ts';

/** The lines of a request that was answered 503 because of that. */
function logged(cause: unknown): Json[] {
  const lines: Json[] = [];
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()) as Json);
      done();
    },
  });
  const exchange = { status: 503, startedAt: 0, rawQuery: '', method: 'POST', route: '/v1/events', cause };
  requestLog(createLogger('info', stream)).onResponse(exchange as unknown as Exchange);
  return lines;
}

void t.test('a store that takes no more is one short warning for each request', (t) => {
  for (const refusal of [new StoreOverloadedError('too many'), new StoreUnavailableError('almost full')]) {
    const lines = logged(refusal);
    t.match(lines, [{ level: 'warn', msg: 'request refused', status: 503, reason: refusal.message }]);
    t.notOk(JSON.stringify(lines).includes('stack'));
  }
  t.end();
});

void t.test('a store that fails is an error with all that is known', (t) => {
  const failure = new StoreUnavailableError('failed', { cause: new Error('ENOSPC') });
  for (const cause of [failure, new Error('unexpected')]) {
    t.match(logged(cause), [{ level: 'error', msg: 'request failed', err: { stack: /Error/ } }]);
  }
  t.end();
});
