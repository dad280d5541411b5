import t from 'tap';
import { createShares } from '../../src/store/shares.ts';

/** How many of one each the tenant gets before it is refused. */
function flood(shares: ReturnType<typeof createShares>, tenant: string): number {
  let taken = 0;
  while (shares.take(tenant, 1)) taken++;
  return taken;
}

void t.test('one tenant that floods gets half', (t) => {
  const shares = createShares(100);
  t.equal(flood(shares, 'a'), 50);
  t.equal(shares.held(), 50);
  t.end();
});

void t.test('beside a tenant that floods, others still get a smaller share', (t) => {
  const shares = createShares(100);
  flood(shares, 'a');
  t.equal(flood(shares, 'b'), 25);
  t.equal(flood(shares, 'c'), 12);
  t.ok(shares.take('d', 1));
  t.end();
});

void t.test('a tenant that holds nothing is refused only when its request does not fit', (t) => {
  const shares = createShares(100);
  t.ok(shares.take('a', 60));
  t.notOk(shares.take('b', 41));
  t.ok(shares.take('b', 40));
  t.equal(shares.held(), 100);
  t.notOk(shares.take('c', 1));
  t.end();
});

void t.test('what is given back can be taken again, by anybody', (t) => {
  const shares = createShares(10);
  t.ok(shares.take('a', 10));
  t.notOk(shares.take('b', 1));
  shares.give('a', 10);
  t.equal(shares.held(), 0);
  t.equal(flood(shares, 'b'), 5);
  t.end();
});

void t.test('many tenants together never hold more than the capacity', (t) => {
  const shares = createShares(1000);
  let taken = 0;
  for (let round = 0; round < 20; round++) {
    for (let tenant = 0; tenant < 300; tenant++) if (shares.take(String(tenant), 7)) taken += 7;
  }
  t.equal(shares.held(), taken);
  t.ok(taken <= 1000);
  t.end();
});

void t.test('the room that is told is what can be taken, and not a unit more', (t) => {
  const shares = createShares(100);
  shares.take('a', 31);
  for (const tenant of ['a', 'b']) {
    const room = shares.room(tenant);
    t.notOk(shares.take(tenant, room + 1));
    t.ok(shares.take(tenant, room));
    shares.give(tenant, room);
  }
  t.end();
});
