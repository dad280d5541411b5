import fc from 'fast-check';
import t from 'tap';
import { cutList } from '../../src/events/json-list.ts';

/** As a reader of the whole would: what is cut out, parsed, or undefined if any of it is no JSON. */
function read(text: string): { items: unknown[]; others: unknown[] } | undefined {
  let items: unknown[] = [];
  const others: unknown[] = [];
  try {
    for (const cut of cutList(text, 'events')) {
      if (cut.kind === 'list') items = [];
      if (!('text' in cut)) continue;
      if (text.slice(cut.at, cut.at + cut.text.length) !== cut.text) throw new Error('cut elsewhere');
      (cut.kind === 'item' ? items : others).push(JSON.parse(cut.text));
    }
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
  return { items, others };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

void t.test('the items of the list and the other members', (t) => {
  t.same(read(' { "a" : 1 , "events" : [ {"x":[1,"]"]} , 2,"three"\n] , "b":{"events":[4]}}\r\n'), {
    items: [{ x: [1, ']'] }, 2, 'three'],
    others: [1, { events: [4] }],
  });
  t.same(read('{}'), { items: [], others: [] });
  t.same(read('{"events":[]}'), { items: [], others: [] });
  t.same(read('{"\\u0065vents":[1]}'), { items: [1], others: [] }, 'a name with escapes');
  t.same(read('{"events":[1,2],"events":[3]}'), { items: [3], others: [] }, 'the last of two lists');
  t.same(read('{"events":[1,2],"events":[]}'), { items: [], others: [] }, 'the last of two lists, empty');
  t.same(read('{"events":{"0":1}}'), { items: [], others: [{ 0: 1 }] }, 'no list');
  t.end();
});

void t.test('items are the very text', (t) => {
  const cut = [...cutList('{"events":[ {"a":1.10, "b" : "\\u00fc"} ]}', 'events')];
  t.same(cut, [
    { kind: 'list' },
    { kind: 'item', name: 'events', text: '{"a":1.10, "b" : "\\u00fc"}', at: 12 },
  ]);
  t.end();
});

void t.test('long values take many steps, whatever they are made of', (t) => {
  const size = 1_000_000;
  const filled = (unit: string) => unit.repeat(size / unit.length);
  const values = {
    arrays: `[${filled('[],')}1]`,
    objects: `[${filled('{"a":1},')}1]`,
    blanks: `[${filled(' ')}1]`,
    'nested arrays': `${'['.repeat(size / 2)}${']'.repeat(size / 2)}`,
    'a number': filled('7'),
    'a string of quotes': `"${filled('\\"')}"`,
    'strings in a list': `[${filled('"a",')}1]`,
  };
  for (const [name, value] of Object.entries(values)) {
    for (const text of [`{"events":[${value},2]}`, `{"a":${value},"events":[2]}`]) {
      const cuts = [...cutList(text, 'events')];
      t.equal(cuts.filter(({ kind }) => kind === 'pause').length, Math.floor(value.length / 65_536), name);
      const texts = cuts.flatMap((cut) => ('text' in cut ? [cut.text] : []));
      t.ok(texts.length === 2 && texts[0] === value && texts[1] === '2', name);
    }
  }
  t.equal(read(`{"events":["${filled('x')}`), undefined, 'a string without an end');
  const [long] = cutList(`{"${filled('\\u0001')}":1}`, 'events');
  t.ok(long?.kind === 'member' && long.name.length < 1_000, 'of a long name only the beginning is told');
  t.end();
});

void t.test('objects that are JSON are read as JSON.parse reads them', (t) => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()), (events, others) => {
      const text = JSON.stringify({ ...others, events }, null, events.length % 3);
      t.same(read(text)?.items, JSON.parse(JSON.stringify(events)));
    }),
  );
  t.end();
});

void t.test('what is no JSON is refused, and what is refused is no JSON object', (t) => {
  const whole = '{"a":[1,{"b":"}]"}],"events":[{"p":{"q":"\\"]"}},12,true,null,"x"],"c":-1.5e3}';
  const changes = ['', ' ', '"', '\\', ',', ':', '{', '}', '[', ']', '1', 'x', '\u0000', '\u00a0', '//'];
  for (let at = 0; at <= whole.length; at++) {
    for (const change of changes) {
      for (const removed of [0, 1]) {
        const text = whole.slice(0, at) + change + whole.slice(at + removed);
        if ((read(text) !== undefined) !== isJson(text)) t.fail(text);
      }
    }
    t.equal(read(whole.slice(0, at)) !== undefined, at === whole.length, 'cut short');
  }
  for (const text of [
    '',
    '[]',
    '"events"',
    'null',
    '{"events":[1,]}',
    '{"events":[,1]}',
    '{,}',
    '{"a":1,}',
    '{"a"}',
  ]) {
    t.equal(read(text), undefined, text);
  }
  t.end();
});
