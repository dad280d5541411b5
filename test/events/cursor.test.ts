import fc from 'fast-check';
import t from 'tap';
import { decodeCursor, encodeCursor } from '../../src/events/cursor.ts';

const printable = fc.string({ minLength: 1, unit: 'grapheme-ascii' });

void t.test('a cursor gives its position back', (t) => {
  fc.assert(
    fc.property(printable, printable, (tenant, position) => {
      t.equal(decodeCursor(tenant, 'v1', encodeCursor(tenant, 'v1', position)), position);
    }),
  );
  t.end();
});

void t.test('a cursor is bound to its tenant and its contract', (t) => {
  const cursor = encodeCursor('a', 'v1', '123');
  t.equal(decodeCursor('b', 'v1', cursor), undefined);
  t.equal(decodeCursor('a', 'unversioned', cursor), undefined);
  t.equal(decodeCursor('av', '1', cursor), undefined);
  t.end();
});

void t.test('every change of one character is noticed', (t) => {
  const cursor = encodeCursor('tenant', 'v1', '1767225600123456');
  for (let at = 0; at < cursor.length; at++) {
    for (const other of 'AaZz09-_=+/ é') {
      if (cursor[at] === other) continue;
      const altered = cursor.slice(0, at) + other + cursor.slice(at + 1);
      t.equal(decodeCursor('tenant', 'v1', altered), undefined, altered);
    }
    t.equal(decodeCursor('tenant', 'v1', cursor.slice(0, at)), undefined);
  }
  t.equal(decodeCursor('tenant', 'v1', `${cursor}=`), undefined);
  t.end();
});
