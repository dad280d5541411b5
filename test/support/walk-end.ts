import type { Test } from 'tap';
import type { TestApp } from './app.ts';
import type { Shown } from './harness.ts';

interface Page {
  readonly events: readonly { readonly event_id: string }[];
  readonly pagination: { readonly next_cursor: string | null; readonly has_more?: boolean };
}

/** After each page more events come than were in it. The walk still ends, with the events that were there at its start. */
export async function walkHasAnEnd(t: Test, app: TestApp, path: string, shown: Shown): Promise<void> {
  const sent: string[] = [];
  for (let n = 0; n < 12; n++) sent.push(await app.send({ payload: { n } }));
  await shown(app, sent.length);
  const walked: string[] = [];
  let pages = 0;
  for (let cursor = ''; ;) {
    const { json } = await app.request('GET', `${path}?limit=5${cursor && `&cursor=${cursor}`}`);
    const { events, pagination } = json as unknown as Page;
    walked.push(...events.map((event) => event.event_id));
    t.equal(pagination.has_more ?? pagination.next_cursor !== null, pagination.next_cursor !== null);
    if (pagination.next_cursor === null || ++pages === 20) break;
    cursor = pagination.next_cursor;
    for (let n = 0; n < 6; n++) sent.push(await app.send({ payload: { later: n } }));
  }
  t.same(walked, sent.slice(0, 12));
  await shown(app, sent.length);
  const next = await app.request('GET', `${path}?limit=100`);
  t.same(
    (next.json as unknown as Page).events.map((event) => event.event_id),
    sent,
    'the next walk has the rest',
  );
}
