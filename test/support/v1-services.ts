import { createClock } from '../../src/events/clock.ts';
import { untoldWaiting } from './waiting.ts';

/** What the `/v1` contract takes beside a store. */
export const v1Services = {
  clock: createClock(),
  version: '0',
  idempotencyTtl: 1e12,
  eventTtl: 1e12,
  draining: () => false,
  waiting: untoldWaiting,
};
