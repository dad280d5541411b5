import t from 'tap';
import { createClock, formatMicros } from '../src/events/clock.ts';

void t.test('ticks are strictly increasing, also when the wall clock stands still or goes back', (t) => {
  let wall = 1_767_225_600_123;
  const clock = createClock(0, () => wall);
  const ticks = [clock.tick(), clock.tick(), clock.tick()];
  wall -= 60_000;
  ticks.push(clock.tick());
  wall += 120_000;
  ticks.push(clock.tick());
  t.same(
    ticks.toSorted((a, b) => a - b),
    ticks,
  );
  t.equal(new Set(ticks).size, ticks.length);
  t.equal(ticks[0], 1_767_225_600_123_000);
  t.equal(ticks.at(-1), wall * 1000);
  t.end();
});

void t.test('time goes on from the newest stored time', (t) => {
  t.equal(createClock(5_000_000, () => 1).tick(), 5_000_001);
  t.end();
});

void t.test('times are written in ISO 8601 UTC with microseconds', (t) => {
  t.equal(formatMicros(Date.UTC(2026, 0, 1, 12) * 1000 + 123_456), '2026-01-01T12:00:00.123456Z');
  t.equal(formatMicros(Date.UTC(2026, 0, 1, 12) * 1000), '2026-01-01T12:00:00.000000Z');
  t.equal(formatMicros(Date.UTC(2026, 0, 1, 12) * 1000 - 1), '2026-01-01T11:59:59.999999Z');
  t.end();
});
