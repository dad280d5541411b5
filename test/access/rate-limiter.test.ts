import fc from 'fast-check';
import t from 'tap';
import type { Principal } from '../../src/access/authenticator.ts';
import { createRateLimiter } from '../../src/access/rate-limiter.ts';

const principal = (keyId: string, rateLimit: number | null): Principal => ({
  keyId,
  rateLimit,
  tenant: 'acme',
});

void t.test('a key without a limit is not counted', (t) => {
  t.equal(createRateLimiter().admit(principal('local', null), 0), null);
  t.end();
});

void t.test('exactly the limit is admitted in a window, and the count goes down to nothing', (t) => {
  const limiter = createRateLimiter();
  const key = principal('a', 3);
  const answers = [0, 1, 30_000, 30_001, 59_999].map((now) => limiter.admit(key, now));
  t.same(
    answers.map((answer) => [answer?.admitted, answer?.remaining, answer?.resetSeconds]),
    [
      [true, 2, 60],
      [true, 1, 60],
      [true, 0, 30],
      [false, 0, 30],
      [false, 0, 1],
    ],
  );
  t.match(limiter.admit(key, 60_000), { admitted: true, limit: 3, remaining: 2, resetSeconds: 60 });
  t.end();
});

void t.test('a request succeeds after the wait that the answer names', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.array(fc.double({ min: 0, max: 40_000, noNaN: true }), { maxLength: 60 }),
      (limit, gaps) => {
        const limiter = createRateLimiter();
        const key = principal('a', limit);
        let now = 1e9;
        return gaps.every((gap) => {
          now += gap;
          const answer = limiter.admit(key, now);
          if (!answer || answer.resetSeconds < 1 || answer.resetSeconds > 60) return false;
          if (answer.admitted) return true;
          now += answer.resetSeconds * 1000;
          return limiter.admit(key, now)?.admitted;
        });
      },
    ),
  );
  t.end();
});

void t.test('a window that has just opened lasts 60 s, at any fraction of a millisecond', (t) => {
  // 1234.567 + 60000 - 1234.567 is more than 60000 in doubles.
  const limiter = createRateLimiter();
  const seconds = Array.from({ length: 1000 }, (_, i) => limiter.admit(principal(String(i), 1), i * 7.7777));
  t.ok(seconds.every((answer) => answer?.resetSeconds === 60));
  t.end();
});

void t.test('from one reset to the next never more than the limit is admitted', (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.array(fc.integer({ min: 0, max: 9_000 }), { maxLength: 300 }),
      (limit, gaps) => {
        const limiter = createRateLimiter();
        let now = 0;
        let windowStart = -Infinity;
        let count = 0;
        return gaps.every((gap) => {
          now += gap;
          if (now - windowStart >= 60_000) [windowStart, count] = [now, 0];
          const expected = count < limit;
          if (expected) count++;
          return limiter.admit(principal('a', limit), now)?.admitted === expected;
        });
      },
    ),
  );
  t.end();
});

void t.test('keys do not influence each other', (t) => {
  const limiter = createRateLimiter();
  for (let i = 0; i < 10; i++) limiter.admit(principal('busy', 5), i);
  t.match(limiter.admit(principal('busy', 5), 11), { admitted: false });
  t.match(limiter.admit(principal('quiet', 5), 11), { admitted: true, remaining: 4 });
  t.end();
});

void t.test('a changed limit counts at once, within the window', (t) => {
  const limiter = createRateLimiter();
  for (let i = 0; i < 4; i++) limiter.admit(principal('a', 5), 0);
  t.match(limiter.admit(principal('a', 2), 1), { admitted: false, limit: 2, remaining: 0 });
  t.match(limiter.admit(principal('a', 6), 2), { admitted: true, limit: 6, remaining: 1 });
  t.end();
});

void t.test('with too many keys, the windows that end first are dropped', (t) => {
  const limiter = createRateLimiter({ maxKeys: 3 });
  for (const [now, keyId] of ['a', 'b', 'c'].entries()) limiter.admit(principal(keyId, 1), now);
  t.match(limiter.admit(principal('c', 1), 3), { admitted: false }, 'all remembered');
  limiter.admit(principal('d', 1), 4);
  t.match(limiter.admit(principal('c', 1), 5), { admitted: false });
  t.match(limiter.admit(principal('d', 1), 5), { admitted: false });
  t.match(limiter.admit(principal('a', 1), 5), { admitted: true }, 'forgotten');
  t.end();
});
