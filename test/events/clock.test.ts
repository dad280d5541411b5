import fc from 'fast-check';
import t from 'tap';
import { createClock, formatMicros } from '../../src/events/clock.ts';
import type { ClockStep } from '../../src/events/clock.ts';
import { fakeTime } from '../support/time.ts';

const HOUR = 3_600_000;
const START = 1_767_225_600_123;

/** A clock, its time, and the steps that it has reported. */
function start() {
  const time = fakeTime(START);
  const steps: ClockStep[] = [];
  const clock = createClock({ time, onStep: (step) => steps.push(step) });
  /** How far `now` is from true time, in milliseconds. */
  const off = () => clock.now() / 1000 - time.trueMs();
  return { time, clock, steps, off };
}

void t.test('ticks are strictly increasing, also while no time passes', (t) => {
  const { time, clock } = start();
  t.equal(clock.tick(), START * 1000);
  t.equal(clock.tick(), START * 1000 + 1);
  t.equal(clock.upcoming(), START * 1000 + 1, 'about the next one');
  time.advance(60_000);
  t.equal(clock.tick(), (START + 60_000) * 1000);
  t.equal(clock.upcoming(), clock.now());
  t.end();
});

void t.test('a step of the wall clock is not believed at first, nor when it goes away', (t) => {
  for (const step of [HOUR, -HOUR]) {
    const { time, clock, steps, off } = start();
    clock.now();
    time.jump(step);
    for (let i = 0; i < 60; i++) {
      if (i === 9) time.jump(-step);
      t.equal(off(), 0);
      time.advance(1_000);
    }
    t.strictSame(steps, [{ seconds: step / 1000, believed: false }], 'reported once');
  }
  t.end();
});

void t.test('a step that stays is believed after 10 s', (t) => {
  for (const step of [HOUR, -HOUR]) {
    const { time, steps, off } = start();
    time.jump(step);
    t.equal(off(), 0);
    time.advance(9_999);
    t.equal(off(), 0);
    time.advance(1);
    t.equal(off(), step);
    t.strictSame(steps, [
      { seconds: step / 1000, believed: false },
      { seconds: step / 1000, believed: true },
    ]);
  }
  t.end();
});

void t.test('when nobody asks for nine hours, a step is in doubt for 10 s from when it is seen', (t) => {
  const { time, off } = start();
  time.advance(9 * HOUR);
  time.jump(HOUR);
  t.equal(off(), 0);
  time.advance(10_000);
  t.equal(off(), HOUR);
  t.end();
});

void t.test('only the part of a changing difference that has stood for 10 s is believed', (t) => {
  const { time, off } = start();
  time.jump(HOUR);
  off();
  time.advance(5_000);
  time.jump(-HOUR / 2);
  off();
  time.advance(5_000);
  time.jump(HOUR);
  t.equal(off(), HOUR / 2);
  time.jump(-2 * HOUR);
  t.equal(off(), HOUR / 2, 'on the other side it begins anew');
  time.advance(10_000);
  t.equal(off(), -HOUR / 2);
  t.end();
});

void t.test('small differences are followed at a tenth of the time that passes, not as steps', (t) => {
  const { time, steps, off } = start();
  time.jump(500);
  t.equal(off(), 0);
  time.advance(1_000);
  t.equal(off(), 100);
  time.advance(9_000);
  t.equal(off(), 500);
  time.jump(-500);
  time.advance(1_000);
  t.equal(off(), 400);
  t.strictSame(steps, []);
  t.end();
});

void t.test('a wall clock that flaps is reported once a minute', (t) => {
  const { time, clock, steps } = start();
  for (let i = 0; i < 120; i++) {
    time.jump(i % 2 === 0 ? HOUR : -HOUR);
    clock.now();
    time.advance(1_000);
  }
  t.equal(steps.length, 2);
  t.end();
});

void t.test('after a step back that is believed, ticks run at 0.9 until now has caught up', (t) => {
  const { time, clock, off } = start();
  const before = clock.tick();
  time.jump(-HOUR);
  clock.now();
  time.advance(10_000);
  t.equal(off(), -HOUR);
  t.equal(clock.tick() - before, 9_000_000);
  for (let i = 0; i < 1000; i++) {
    time.advance(35_900);
    clock.tick();
  }
  const last = clock.tick();
  t.ok(last > clock.now());
  t.equal(clock.upcoming(), last);
  time.advance(200_000);
  t.equal(clock.tick(), clock.now(), 'ten hours later');
  t.end();
});

void t.test('a step forward without a tick during it leaves no trace in ticks', (t) => {
  const { time, clock } = start();
  time.jump(8 * 24 * HOUR);
  clock.now();
  time.advance(10_000);
  t.equal(clock.now(), time.wallMs() * 1000);
  time.jump(-8 * 24 * HOUR);
  clock.now();
  time.advance(10_000);
  t.equal(clock.tick(), time.trueMs() * 1000);
  t.end();
});

void t.test('time continues from the newest stored time, at 0.9 while the wall clock is behind', (t) => {
  const time = fakeTime(START);
  const clock = createClock({ time });
  clock.startAfter((START + HOUR) * 1000);
  t.equal(clock.tick(), (START + HOUR) * 1000 + 1);
  time.advance(100_000);
  t.equal(clock.tick(), (START + HOUR + 90_000) * 1000 + 1);
  t.equal(clock.now(), (START + 100_000) * 1000);
  t.end();
});

type Step = readonly [kind: 'pass' | 'jump' | 'tick' | 'now', ms: number];

const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.tuple(fc.constant('pass' as const), fc.oneof(fc.nat(30), fc.nat(20_000), fc.nat(9 * HOUR))),
  fc.tuple(
    fc.constant('jump' as const),
    fc.oneof(fc.integer({ min: -2_000, max: 2_000 }), fc.integer({ min: -9 * HOUR, max: 9 * HOUR })),
  ),
  fc.tuple(fc.constantFrom('tick' as const, 'now' as const), fc.constant(0)),
);

void t.test(
  'whatever the wall does: ticks increase, at 0.9 of time or more, and no faster than believed',
  (t) => {
    fc.assert(
      fc.property(fc.array(anyStep, { minLength: 5, maxLength: 80 }), (list) => {
        const time = fakeTime(START);
        let believedForward = 0;
        const clock = createClock({
          time,
          onStep: ({ seconds, believed }) => {
            if (believed) believedForward += Math.max(0, seconds * 1e6);
          },
        });
        const ticks: { at: number; mono: number; believed: number }[] = [];
        for (const [kind, ms] of list) {
          if (kind === 'pass') time.advance(ms);
          else if (kind === 'jump') time.jump(ms);
          else if (kind === 'now') clock.now();
          else ticks.push({ at: clock.tick(), mono: time.monotonicMs() * 1000, believed: believedForward });
        }
        for (const [i, before] of ticks.entries()) {
          for (const [more, after] of ticks.slice(i + 1).entries()) {
            const [gone, passed] = [after.at - before.at, after.mono - before.mono];
            // Each tick is a whole microsecond.
            const rounding = more + 2;
            if (!(gone > 0 && gone >= 0.9 * passed - 2)) return false;
            if (gone > 1.1 * passed + after.believed - before.believed + rounding) return false;
          }
        }
        return true;
      }),
      { numRuns: 2_000 },
    );
    t.end();
  },
);

void t.test('a wall clock that is right is followed within 10 s, whatever it did before', (t) => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 40 }), (list) => {
      const { time, clock, off } = start();
      let jumped = 0;
      for (const [kind, ms] of list) {
        if (kind === 'pass') time.advance(ms);
        else if (kind === 'jump') time.jump(ms);
        else clock[kind]();
        if (kind === 'jump') jumped += ms;
      }
      time.jump(-jumped);
      for (let i = 0; i <= 20; i++) {
        clock.now();
        time.advance(1_000);
      }
      return Math.abs(off()) <= 1;
    }),
    { numRuns: 1_000 },
  );
  t.end();
});

void t.test('times are written in ISO 8601 UTC with microseconds', (t) => {
  t.equal(formatMicros(Date.UTC(2026, 0, 1, 12) * 1000 + 123_456), '2026-01-01T12:00:00.123456Z');
  t.equal(formatMicros(Date.UTC(2026, 0, 1, 12) * 1000), '2026-01-01T12:00:00.000000Z');
  t.equal(formatMicros(Date.UTC(2026, 0, 1, 12) * 1000 - 1), '2026-01-01T11:59:59.999999Z');
  t.end();
});
