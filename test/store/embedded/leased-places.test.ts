import t from 'tap';
import { createLeasedPlaces } from '../../../src/store/embedded/leased-places.ts';
import { StoreOverloadedError } from '../../../src/store/store-errors.ts';

void t.test('ranges come back when their time has come, in the order of places', (t) => {
  const places = createLeasedPlaces();
  places.hold('a', 'late', 30, { first: 1, last: 3 }, 3);
  places.hold('a', 'early', 10, { first: 7, last: 9 }, 2);
  places.hold('a', 'middle', 20, { first: 4, last: 8 }, 2);
  places.hold('b', 'other', 10, { first: 5, last: 5 }, 1);
  t.strictSame(places.returned('a', 9), []);
  t.strictSame(places.returned('a', 20), [{ first: 4, last: 9 }], 'joined where they overlap');
  t.strictSame(places.returned('a', 20), [], 'once');
  places.keep('a', [{ first: 8, last: 9 }]);
  t.strictSame(places.returned('a', 30), [
    { first: 1, last: 3 },
    { first: 8, last: 9 },
  ]);
  t.strictSame(places.returned('b', 10), [{ first: 5, last: 5 }]);
  t.end();
});

void t.test('what is dropped as a whole does not come back', (t) => {
  const places = createLeasedPlaces();
  places.hold('a', 'call', 10, { first: 1, last: 2 }, 2);
  t.equal(places.drop('call'), true);
  t.equal(places.drop('call'), true);
  t.equal(places.drop('call'), false);
  t.equal(places.drop('never'), false);
  t.strictSame(places.returned('a', 10), []);
  t.end();
});

void t.test('a name can be used again once it has come back', (t) => {
  const places = createLeasedPlaces();
  places.hold('a', 'call', 10, { first: 1, last: 1 }, 1);
  places.returned('a', 10);
  places.hold('a', 'call', 20, { first: 2, last: 2 }, 1);
  t.equal(places.drop('call'), true);
  t.strictSame(places.returned('a', 20), []);
  t.end();
});

void t.test('tenants share the room, and one alone has half of it', (t) => {
  const places = createLeasedPlaces(100);
  const take = (tenant: string, name: string, events: number, time = 0) => {
    places.requireRoom(tenant, events, time);
    places.hold(tenant, name, 10, { first: 1, last: 1 }, events);
  };
  take('a', '1', 10);
  take('a', '2', 40);
  t.throws(() => {
    take('a', '3', 1);
  }, StoreOverloadedError);
  take('b', '4', 25);
  t.throws(() => {
    take('c', '5', 30);
  }, StoreOverloadedError);
  for (let n = 0; n < 40; n++) places.drop('2');
  take('a', '6', 1);
  take('b', '7', 20, 10);
  t.strictSame(places.returned('a', 10), [{ first: 1, last: 1 }], 'what has run out takes no room');
  t.end();
});

void t.test('very many ranges are joined to fewer that cover them', (t) => {
  const places = createLeasedPlaces();
  for (let n = 5_000; n > 0; n--) places.hold('a', String(n), 10, { first: 10 * n, last: 10 * n }, 1);
  const ranges = places.returned('a', 10);
  t.ok(ranges.length <= 1_000);
  for (let n = 1; n <= 5_000; n++) {
    if (!ranges.some(({ first, last }) => first <= 10 * n && 10 * n <= last)) t.fail(`${String(n)} is lost`);
  }
  t.end();
});
