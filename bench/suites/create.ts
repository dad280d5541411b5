import { AUTOCANNON } from '../report/results.ts';
import { CROWD } from './setting.ts';
import type { Measure } from './suite.ts';
import { below, closed, EVERYWHERE, HERE, latencySuite, steady } from './suite.ts';

/** Connections of autocannon, its own default. */
const CONNECTIONS = 10;

/** The same rate and targets by the open loop, and by autocannon, which is what users know and repeat. */
function byBothLoads(what: string, traffic: string, targets: NonNullable<Measure['targets']>): Measure[] {
  const { perSecond } = steady(traffic);
  return [
    { what, load: steady(traffic), targets },
    { what: `${what}${AUTOCANNON}`, load: { ...closed(traffic, CONNECTIONS), perSecond }, targets },
  ];
}

export const createV1 = latencySuite(
  { name: 'create-v1', about: 'POST /v1/events, 1,000 events a second', on: EVERYWHERE },
  byBothLoads('POST /v1/events', 'create-v1', {
    embedded: [below('p95', 10), below('p99', 25)],
    dynamodb: [below('p95', 30)],
    remote: [below('p95', 100)],
  }),
);

/** An emulator does not sustain it: `create-rate` says what it does. */
export const create = latencySuite(
  {
    name: 'create',
    about: 'POST /events, no two alike, 1,000 events a second',
    on: ['embedded', 'remote'],
  },
  byBothLoads('POST /events', 'create-unversioned', {
    embedded: [below('p95', 10)],
    remote: [below('p95', 100)],
  }),
);

export const createRate = latencySuite(
  {
    name: 'create-rate',
    about: `POST /events, no two alike: the rate that ${String(CROWD)} clients get`,
    on: HERE,
  },
  [{ what: 'POST /events', load: closed('create-unversioned', CROWD) }],
);
