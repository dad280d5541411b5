import fc from 'fast-check';
import t from 'tap';
import { cutList } from '../../src/events/json-list.ts';

/** As a reader of the whole would: what is cut out, parsed, or undefined if any of it is no JSON. */
function read(text: string): { items: unknown[]; others: unknown[] } | undefined {
  const items: unknown[] = [];
  const others: unknown[] = [];
  try {
    for (const { list, text: cut, at } of cutList(text, 'events')) {
      if (text.slice(at, at + cut.length) !== cut) throw new Error('cut elsewhere');
      (list ? items : others).push(JSON.parse(cut));
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
  t.same(read('{"events":{"0":1}}'), { items: [], others: [{ 0: 1 }] }, 'no list');
  t.end();
});

void t.test('items are the very text', (t) => {
  const cut = [...cutList('{"events":[ {"a":1.10, "b" : "\\u00fc"} ]}', 'events')];
  t.match(cut, [{ text: '{"a":1.10, "b" : "\\u00fc"}', at: 12 }]);
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
