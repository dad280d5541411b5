import t from 'tap';
import { within } from '../../src/http/within.ts';

const never = () => new Promise<string>(() => undefined);

void t.test('what comes late is replaced', async (t) => {
  t.equal(await within(Promise.resolve('in time'), 1_000, () => 'late'), 'in time');
  t.equal(await within(never(), 1, () => 'late'), 'late');
  t.equal(await within(never(), 1, () => Promise.resolve('later')), 'later');
});

void t.test('what is thrown instead rejects, and does not end the process', async (t) => {
  const error = new Error('too late');
  const late = (): string => {
    throw error;
  };
  await t.rejects(within(never(), 1, late), error);
});
