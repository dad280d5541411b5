import assert from 'node:assert/strict';
import type { Target } from '../load/job.ts';
import type { Answer } from '../load/send.ts';
import { createAgent, send } from '../load/send.ts';
import { EVENT, uniqueEvent } from '../load/traffic.ts';
import { eventually } from './dynamodb.ts';

type Ask = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: string) => Promise<Answer>;

/** Whether a service does what is about to be measured. Throws where it does not; leaves an empty inbox as it was. */
export async function verifyService(target: Target): Promise<void> {
  const agent = createAgent(target.url);
  const ask: Ask = (method, path, body) =>
    send(agent, target, { method, path, ...(body === undefined ? {} : { body }) });
  try {
    await verifyV1(ask);
    await verifyUnversioned(ask);
  } finally {
    agent.destroy();
  }
}

/** Whether nothing waits in the inbox of a key. */
export async function inboxIsEmpty(target: Target): Promise<boolean> {
  const agent = createAgent(target.url);
  const { body } = await send(agent, target, { method: 'GET', path: '/v1/inbox?limit=1' });
  agent.destroy();
  return (JSON.parse(body) as { events: unknown[] }).events.length === 0;
}

async function verifyV1(ask: Ask): Promise<void> {
  assert.equal((await ask('GET', '/v1/health')).status, 200);
  const created = await ask('POST', '/v1/events', EVENT);
  assert.equal(created.status, 201, created.body);
  const { event_id: id } = JSON.parse(created.body) as { event_id: string };
  const { payload } = JSON.parse(EVENT) as { payload: object };

  const read = await ask('GET', `/v1/events/${id}`);
  assert.deepEqual((JSON.parse(read.body) as { payload: object }).payload, payload);
  // On DynamoDB an event appears in the inbox a moment after its 201.
  await eventually(async () => {
    const page = JSON.parse((await ask('GET', '/v1/inbox?limit=50')).body) as Page;
    assert.ok(
      page.events.some((event) => event.event_id === id),
      'what was created is in the inbox',
    );
  });
  assert.equal((await ask('POST', `/v1/events/${id}/ack`)).status, 200);
  assert.equal((await ask('POST', `/v1/events/${id}/ack`)).status, 409);
  assert.equal((await ask('DELETE', `/v1/events/${id}`)).status, 200);
  assert.equal((await ask('GET', `/v1/events/${id}`)).status, 404);
}

async function verifyUnversioned(ask: Ask): Promise<void> {
  assert.equal((await ask('GET', '/status')).status, 200);
  const event = uniqueEvent();
  const [first, second] = [await ask('POST', '/events', event), await ask('POST', '/events', event)];
  const created = JSON.parse(first.body) as { event_id: string; deduplicated: boolean };
  assert.equal(created.deduplicated, false);
  assert.deepEqual(JSON.parse(second.body), { ...JSON.parse(first.body), deduplicated: true });
  await eventually(async () => {
    const page = JSON.parse((await ask('GET', '/inbox?limit=50')).body) as Page;
    assert.ok(page.events.some(({ event_id: id }) => id === created.event_id));
  });
  assert.equal((await ask('DELETE', `/events/${created.event_id}`)).status, 204);
}

interface Page {
  readonly events: readonly { readonly event_id: string }[];
}
