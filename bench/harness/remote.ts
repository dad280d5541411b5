import type { Target } from '../load/job.ts';
import { createAgent, send } from '../load/send.ts';
import { inboxIsEmpty } from './verify.ts';
import type { Service } from './service.ts';

const DELETERS = 32;

/** A service that runs already. `stop` deletes what waits in the inbox of the key, which has to be empty at first. */
export async function remoteService(url: string, key: string): Promise<Service> {
  const base = url.replace(/\/+$/, '');
  const target = { url: base, key, pid: null };
  if (!(await inboxIsEmpty(target))) {
    throw new Error('the inbox of this key is not empty; give the benchmark a key of its own (--key)');
  }
  return { ...target, moreKeys: [], stop: () => emptyInbox(target) };
}

async function emptyInbox(target: Target): Promise<void> {
  const agent = createAgent(target.url, DELETERS);
  for (;;) {
    const { body } = await send(agent, target, { method: 'GET', path: '/v1/inbox?limit=100' });
    const { events } = JSON.parse(body) as { events: { event_id: string }[] };
    if (events.length === 0) break;
    await Promise.all(
      events.map(({ event_id: id }) => send(agent, target, { method: 'DELETE', path: `/v1/events/${id}` })),
    );
  }
  agent.destroy();
}
