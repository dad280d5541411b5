import fc from 'fast-check';
import t from 'tap';
import { cutMembers } from '../../src/events/json-text.ts';

void t.test('cuts a value out as it was written', (t) => {
  const values = [
    '{"a":1.10,"b":9007199254740993,"c":1e400,"d":-0}',
    '{ "z" : [ { "payload" : 1 } , "}" , "\\"" , "\\\\" ] }',
    '{"__proto__":{"x":1},"payload":"no"}',
    '{}',
    'null',
    'true',
    '-12.5e+3',
    '"a \\" b \\\\\\" c \\u0022"',
    '[]',
    '[[[["]"]]]]',
  ];
  for (const value of values) {
    for (const text of [
      `{"payload":${value}}`,
      `{"payload":${value},"source":"x"}`,
      ` \t\r\n{ "source" : "a\\"b" , "payload" : ${value} \n} `,
    ]) {
      t.equal(cutMembers(text, ['payload']).payload, value, text);
    }
  }
  t.end();
});

void t.test('the last of duplicate members counts, as in JSON.parse', (t) => {
  t.equal(cutMembers('{"payload":{"a":1},"payload":{"b":2}}', ['payload']).payload, '{"b":2}');
  t.end();
});

void t.test('a name may be written with escapes', (t) => {
  t.equal(cutMembers('{"p\\u0061yload":{"a":1}}', ['payload']).payload, '{"a":1}');
  t.equal(cutMembers('{"payload":1,"\\u0070ayload":2}', ['payload']).payload, '2');
  t.end();
});

void t.test('a member of a member is not a member', (t) => {
  t.same(cutMembers('{"other":{"payload":1},"list":[{"payload":2}]}', ['payload']), {});
  t.same(cutMembers('{}', ['payload']), {});
  t.end();
});

void t.test('depth does not matter', (t) => {
  const deep = `{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  t.equal(cutMembers(`{"payload":${deep},"x":1}`, ['payload']).payload, deep);
  t.end();
});

void t.test('agrees with JSON.parse on any object, in any spacing', (t) => {
  const member = fc.tuple(
    fc.oneof(fc.constantFrom('payload', 'metadata', 'a"b', '\\'), fc.string({ unit: 'binary' })),
    fc.jsonValue(),
  );
  fc.assert(
    fc.property(fc.array(member, { maxLength: 6 }), fc.constantFrom('', ' ', '\n\t '), (members, space) => {
      const text = `${space}{${members
        .map(
          ([name, value]) =>
            `${space}${JSON.stringify(name)}${space}:${space}${JSON.stringify(value)}${space}`,
        )
        .join(',')}}${space}`;
      const parsed = JSON.parse(text) as Record<string, unknown>;
      const cut = cutMembers(text, ['payload', 'metadata']);
      for (const name of ['payload', 'metadata'] as const) {
        const expected = Object.hasOwn(parsed, name) ? parsed[name] : undefined;
        const actual = cut[name] === undefined ? undefined : (JSON.parse(cut[name]) as unknown);
        t.ok(Object.is(JSON.stringify(actual), JSON.stringify(expected)) || t.same(actual, expected), text);
      }
    }),
    { numRuns: 500 },
  );
  t.end();
});
