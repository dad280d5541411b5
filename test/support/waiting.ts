import { createWaiting } from '../../src/events/waiting.ts';

/** For contracts whose store never tells of anything. */
export const untoldWaiting = createWaiting({ store: { watch: () => () => undefined }, placesPerKey: 10 });
