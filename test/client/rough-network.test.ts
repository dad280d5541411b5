import t from 'tap';
import { startTestApp } from '../support/app.ts';
import { roughSends } from '../support/rough-sends.ts';

void t.test('sends over a network that loses things: each event is there exactly once', async (t) => {
  const { url } = await startTestApp(t);
  await roughSends(t, url, 200);
});
