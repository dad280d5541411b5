import { closed, EVERYWHERE, latencySuite } from './suite.ts';

export const mixed = latencySuite(
  {
    name: 'mixed',
    about: 'of 17 requests 10 create, 3 inbox, 2 get, 1 acknowledge, 1 health',
    on: EVERYWHERE,
  },
  [{ what: '17 of 5 kinds', load: closed('mixed', 16) }],
);
