import t from 'tap';
import { v1Error } from '../support/app.ts';
import { startDescribedApp } from '../support/described.ts';
import { entries, flipped, openRaw } from '../support/embedded.ts';

void t.test('a flipped bit in a stored record is an error of that event alone', async (t) => {
  const dataDir = t.testdir();
  const app = await startDescribedApp(t, { DATA_DIR: dataDir });
  const ids = [
    await app.send({ payload: { n: 0 } }),
    await app.send({ payload: { n: 1 } }),
    await app.send(),
  ];
  const [first, damaged, last] = ids as [string, string, string];
  const { events } = openRaw(t, dataDir);
  const [, victim] = entries(events);
  if (!victim) throw new Error('three events were sent');
  events.putSync(victim.key, flipped(victim.value, victim.value.length - 8));

  // What another handle has written is seen as of the next commit.
  await app.send();
  const read = await app.request('GET', `/v1/events/${damaged}`);
  t.equal(read.status, 500);
  t.equal(v1Error(read).code, 'INTERNAL_ERROR');
  t.match(v1Error(read).message, /damaged/);
  t.equal((await app.request('POST', `/v1/events/${damaged}/ack`)).status, 500);
  t.ok(
    app.logged.some(({ level, err }) => level === 'error' && JSON.stringify(err).includes(damaged)),
    'the log names it',
  );
  const inbox = await app.request('GET', '/v1/inbox');
  t.equal(inbox.status, 200);
  const listed = (inbox.json['events'] as { event_id: string }[]).map((event) => event.event_id);
  t.same(listed.slice(0, 2), [first, last], 'the others are served');
  t.equal((await app.request('POST', `/v1/events/${last}/ack`)).status, 200);
  t.equal((await app.request('DELETE', `/v1/events/${damaged}`)).status, 200, 'and it can be deleted');
  t.equal((await app.request('GET', `/v1/events/${damaged}`)).status, 404);
});
