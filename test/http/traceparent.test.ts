import t from 'tap';
import { readHead } from '../../src/http/head.ts';
import { parseTraceparent } from '../../src/http/traceparent.ts';
import { startTestApp } from '../support/app.ts';
import { sendRaw } from '../support/raw.ts';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT_ID = '00f067aa0ba902b7';
const VALID = `00-${TRACE_ID}-${PARENT_ID}-01`;
const TRACE = { traceId: TRACE_ID, parentId: PARENT_ID };

void t.test('what is valid', (t) => {
  for (const value of [
    VALID,
    `00-${TRACE_ID}-${PARENT_ID}-00`,
    `00-${TRACE_ID}-${PARENT_ID}-ff`,
    `cc-${TRACE_ID}-${PARENT_ID}-01`,
    `cc-${TRACE_ID}-${PARENT_ID}-01-what-the-future-will-be-like`,
    `fe-${TRACE_ID}-${PARENT_ID}-01-`,
  ]) {
    t.same(parseTraceparent(value), TRACE, value);
  }
  t.end();
});

void t.test('what is not', (t) => {
  for (const value of [
    '',
    '00',
    VALID.toUpperCase(),
    VALID.slice(0, -1),
    `${VALID}0`,
    `${VALID}-`,
    `${VALID}-more`,
    `ff-${TRACE_ID}-${PARENT_ID}-01`,
    `0-${TRACE_ID}-${PARENT_ID}-01`,
    `0g-${TRACE_ID}-${PARENT_ID}-01`,
    `000-${TRACE_ID}-${PARENT_ID}-01`,
    `CC-${TRACE_ID}-${PARENT_ID}-01`,
    `00-${TRACE_ID.toUpperCase()}-${PARENT_ID}-01`,
    `00-${TRACE_ID}-${PARENT_ID.toUpperCase()}-01`,
    `00-${TRACE_ID}-${PARENT_ID}-0A`,
    `00-${TRACE_ID}0-${PARENT_ID}-01`,
    `cc-${TRACE_ID}0-${PARENT_ID}-01`,
    `cc-${TRACE_ID}-${PARENT_ID}-1`,
    `cc-${'0'.repeat(32)}-${PARENT_ID}-01`,
    `ff-${TRACE_ID}-${PARENT_ID}-01-more`,
    `00-${'0'.repeat(32)}-${PARENT_ID}-01`,
    `00-${TRACE_ID}-${'0'.repeat(16)}-01`,
    `00-${TRACE_ID.slice(1)}-${PARENT_ID}-01`,
    `00-${TRACE_ID}-${PARENT_ID}0-01`,
    `00-${TRACE_ID}-${PARENT_ID.replace('f', '.')}-01`,
    `00-${TRACE_ID}-${PARENT_ID}-0x`,
    `cc-${TRACE_ID}-${PARENT_ID}-01.more`,
    `00_${TRACE_ID}_${PARENT_ID}_01`,
    `${VALID},${VALID}`,
  ]) {
    t.equal(parseTraceparent(value), undefined, value);
  }
  t.end();
});

void t.test('two of them are none, and the request is served', async (t) => {
  const twice = [...Array<string>(2)].map(() => ['traceparent', VALID] as const);
  for (const headers of [twice, [...twice, ...twice.slice(1)]]) {
    const head = readHead({
      forEach(callback) {
        for (const [name, value] of headers) callback(name, value);
      },
    });
    t.equal(head.trace, undefined);
    t.equal(head.ambiguous, undefined);
  }
  const app = await startTestApp(t);
  const send = (...lines: string[]) =>
    sendRaw(app.url, [['GET /v1/health HTTP/1.1', 'Host: x', ...lines, '', ''].join('\r\n')]);
  const replies = [
    await send(`traceparent: ${VALID}`, `Traceparent: ${VALID}`),
    await send(`TraceParent: \t ${VALID}  `),
    await send('traceparent: nonsense'),
  ];
  for (const { text } of replies) t.match(text, /^HTTP\/1.1 200 OK/);
  t.same(
    app.logged.filter(({ msg }) => msg === 'request').map((line) => line['trace_id']),
    [undefined, TRACE_ID, undefined],
  );
});
