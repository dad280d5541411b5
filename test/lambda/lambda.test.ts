import t from 'tap';
import type { Dispatch } from '../../src/http/dispatch.ts';
import type { LoggedRequest } from '../../src/http/request-line.ts';
import { answerEvents } from '../../src/lambda/answer-event.ts';
import { GatewayCall, type GatewayEvent } from '../../src/lambda/gateway-call.ts';
import { RESULT_LIMIT_BYTES, toResult } from '../../src/lambda/gateway-result.ts';
import { createUpkeep } from '../../src/lambda/upkeep.ts';

function gatewayEvent(fields: Partial<GatewayEvent> = {}): GatewayEvent {
  return {
    version: '2.0',
    rawPath: '/v1/inbox',
    rawQueryString: '',
    headers: {},
    requestContext: { stage: '$default', http: { method: 'GET', sourceIp: '198.51.100.7' } },
    isBase64Encoded: false,
    ...fields,
  };
}

void t.test('a call has what the client sent', (t) => {
  const { requestContext } = gatewayEvent();
  const call = new GatewayCall(
    gatewayEvent({
      rawQueryString: 'limit=1&limit=2&source=a%20b+c',
      headers: { 'x-api-key': 'k,k', 'x-request-id': 'mine', 'x-forwarded-for': '203.0.113.9' },
      body: 'é',
    }),
  );
  t.match(call, {
    method: 'GET',
    path: '/v1/inbox',
    rawQuery: 'limit=1&limit=2&source=a%20b+c',
    clientAddress: '198.51.100.7',
    head: { apiKey: 'k,k', requestId: 'mine', ambiguous: undefined },
  });
  t.equal(call.body.toString(), 'é');
  const bytes = Buffer.from([0xff, 0, 0x7b]);
  t.same(
    new GatewayCall(gatewayEvent({ body: bytes.toString('base64'), isBase64Encoded: true })).body,
    bytes,
  );

  for (const [stage, rawPath, path] of [
    ['prod', '/prod/v1/inbox', '/v1/inbox'],
    ['prod', '/prod', ''],
    ['prod', '/production/v1/inbox', '/production/v1/inbox'],
    ['v1', '/v1/v1/inbox', '/v1/inbox'],
    ['$default', '/v1/events/50% %zz%41', '/v1/events/50%25 %25zz%41'],
  ] as const) {
    const event = gatewayEvent({ rawPath, requestContext: { ...requestContext, stage } });
    t.equal(new GatewayCall(event).path, path);
  }
  t.end();
});

void t.test('how the body came is a matter of API Gateway', (t) => {
  const headers = { 'content-length': '7', 'transfer-encoding': 'gzip, chunked', trailer: 'x' };
  t.match(new GatewayCall(gatewayEvent({ headers })).head, { ambiguous: undefined, chunked: false });
  t.end();
});

void t.test('an event of another kind is refused', (t) => {
  const other = { ...gatewayEvent(), version: '1.0' } as unknown as GatewayEvent;
  t.throws(() => new GatewayCall(other), TypeError);
  t.end();
});

void t.test('a result has each header once, and no body where there is none', (t) => {
  const headers = [
    ['vary', 'Origin'],
    ['x-request-id', 'r'],
    ['vary', 'accept'],
  ] as const;
  t.same(toResult({ status: 204, body: null, headers }), {
    statusCode: 204,
    headers: { vary: 'Origin, accept', 'x-request-id': 'r' },
  });
  t.same(toResult({ status: 200, body: '{}' }), { statusCode: 200, headers: {}, body: '{}' });
  t.same(toResult({ status: 200, body: Buffer.from([0xff]) }), {
    statusCode: 200,
    headers: {},
    body: '/w==',
    isBase64Encoded: true,
  });
  t.end();
});

void t.test('a text that would be too long in JSON goes in base64', (t) => {
  for (const [character, count, base64] of [
    ['x', RESULT_LIMIT_BYTES - 100, false],
    ['x', RESULT_LIMIT_BYTES / 8, false],
    ['"', RESULT_LIMIT_BYTES / 2 - 100, false],
    ['"', RESULT_LIMIT_BYTES / 2, true],
    ['€', RESULT_LIMIT_BYTES / 3 - 100, false],
  ] as const) {
    const text = character.repeat(count);
    const result = toResult({ status: 200, body: text });
    t.equal(result.isBase64Encoded === true, base64, `${character} ${String(count)} times`);
    t.ok(Buffer.from(result.body ?? '', base64 ? 'base64' : 'utf8').equals(Buffer.from(text)));
    t.ok(Buffer.byteLength(JSON.stringify(result)) <= RESULT_LIMIT_BYTES);
  }
  t.end();
});

void t.test('upkeep does what is due, once, and waits for it', async (t) => {
  let nowMs = 0;
  const upkeep = createUpkeep(() => nowMs);
  const done: string[] = [];
  const work = (name: string) => async () => {
    await Promise.resolve();
    done.push(name);
  };
  upkeep.repeat(work('often'), 100);
  const stop = upkeep.repeat(work('seldom'), 1_000);
  await upkeep.run();
  t.same(done, []);
  nowMs = 3_600_000;
  await Promise.all([upkeep.run(), upkeep.run()]);
  t.same(done, ['often', 'seldom'], 'an hour in which the process was frozen is made up for once');
  stop();
  nowMs += 1_000;
  await upkeep.run();
  t.same(done, ['often', 'seldom', 'often']);
});

void t.test('the result waits for upkeep, and the request is logged by then', async (t) => {
  const order: string[] = [];
  let finish = (): void => undefined;
  const upkeep = {
    run: () =>
      new Promise<void>((resolve) => {
        finish = () => {
          order.push('upkeep');
          resolve();
        };
      }),
  };
  const dispatch = {
    find: () => ({ endpoint: { path: '/v1/inbox' }, params: [] }),
    answer: () => Promise.resolve({ status: 503, body: '"é"', headers: [], cause: new Error('why') }),
  } as unknown as Dispatch;
  const logged: LoggedRequest[] = [];
  const handler = answerEvents({
    dispatch,
    upkeep,
    onResponse: (request) => {
      order.push('log');
      logged.push(request);
    },
  });
  const body = Buffer.from('"éé"');
  const result = handler(gatewayEvent({ body: body.toString('base64'), isBase64Encoded: true }));
  await new Promise((resolve) => setImmediate(resolve));
  finish();
  t.match(await result, { statusCode: 503, body: '"é"' });
  t.same(order, ['upkeep', 'log']);
  t.match(logged, [{ method: 'GET', route: '/v1/inbox', status: 503, clientAddress: '198.51.100.7' }]);
  t.match(logged, [{ bytesIn: body.length, bytesOut: 4 }], 'bytes as the client sends and gets them');
});
