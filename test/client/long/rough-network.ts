import t from 'tap';
import { startService } from '../../support/process.ts';
import { roughSends } from '../../support/rough-sends.ts';

void t.test('2,000 sends over a network that loses things: each event is there exactly once', async (t) => {
  const { url } = await startService(t, { DATA_DIR: t.testdir() });
  await roughSends(t, url, 2000);
});
