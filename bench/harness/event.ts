import { randomUUID } from 'node:crypto';
import type { Micros, StoredEvent } from '../../src/store/event.ts';

/** A pending event like any other, with an id of its own. */
export function sampleEvent(createdAt: Micros, fields: Partial<StoredEvent> = {}): StoredEvent {
  return {
    id: randomUUID(),
    tenant: 'acme',
    source: 'shop',
    type: 'order.created',
    payload: '{"order":1}',
    metadata: null,
    createdAt,
    acknowledgedAt: null,
    ...fields,
  };
}
