import t from 'tap';
import { StoreUnavailableError } from '../../../src/store/store-errors.ts';
import { withRetries } from '../../../src/store/dynamodb/deadline.ts';
import { createRetries, RETRY_COST } from '../../../src/store/dynamodb/retries.ts';
import { endless } from '../../support/deadline.ts';

void t.test('while everything fails, few requests are retried; success refills the budget', async (t) => {
  const deadline = { ...endless(), retries: createRetries({ clockMs: () => 0, random: () => 0 }) };
  let attempts = 0;
  const failing = () => {
    attempts += 1;
    return Promise.reject(new Error('no answer'));
  };
  for (let calls = 0; calls < 1_000; calls++) {
    await t.rejects(withRetries(failing, deadline), { message: 'no answer' });
  }
  t.equal(attempts, 1_100, 'a hundred retries for all of them');

  for (let calls = 0; calls < RETRY_COST; calls++) await withRetries(() => Promise.resolve(), deadline);
  attempts = 0;
  await t.rejects(withRetries(failing, deadline), { message: 'no answer' });
  t.equal(attempts, 2, 'five that worked pay for one');
});

void t.test('a retry that succeeds costs nothing in the end', async (t) => {
  const deadline = { ...endless(), retries: createRetries({ clockMs: () => 0, random: () => 0 }) };
  let attempts = 0;
  const everySecond = () => (attempts++ % 2 === 0 ? Promise.reject(new Error('lost')) : Promise.resolve());
  for (let calls = 0; calls < 1_000; calls++) await withRetries(everySecond, deadline);
  t.equal(attempts, 2_000);
});

void t.test(
  'when the budget is used up after an unclear end, the error says that it is unclear',
  async (t) => {
    const retries = createRetries({ clockMs: () => 0, random: () => 0 });
    while (retries.take(1));
    retries.give(RETRY_COST);
    const throttled = Object.assign(new Error('slow down'), { name: 'ThrottlingException' });
    const errors = [new Error('no answer'), throttled];
    const failed = withRetries(() => Promise.reject(errors.shift() ?? new Error('asked again')), {
      ...endless(),
      retries,
    });
    await t.rejects(failed, new StoreUnavailableError('DynamoDB gave no clear answer in time'));
  },
);

void t.test('the budget fills with time, and not beyond its size', (t) => {
  let time = 0;
  const retries = createRetries({ clockMs: () => time, random: () => 0 });
  const takeAll = () => {
    let taken = 0;
    while (retries.take(1)) taken += 1;
    return taken;
  };
  t.equal(takeAll(), 500);
  time += 2_000;
  t.equal(takeAll(), 20);
  time += 3_600_000;
  t.equal(takeAll(), 500);
  retries.give(10_000);
  t.equal(takeAll(), 500);
  t.end();
});

void t.test('pauses double up to a cap, with jitter', (t) => {
  const pauses = (random: number) => {
    const retries = createRetries({ clockMs: () => 0, random: () => random });
    return [0, 1, 2, 3, 4, 5, 60].map((tries) => retries.pauseMs(tries));
  };
  t.strictSame(pauses(1), [25, 50, 100, 200, 400, 400, 400]);
  t.strictSame(pauses(0), [12.5, 25, 50, 100, 200, 200, 200]);
  t.end();
});
