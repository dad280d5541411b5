import { createCall } from '../../src/client/call.ts';
import type { ConsumeOptions, Consumer, Handler } from '../../src/client/consume.ts';
import { createInbox } from '../../src/client/inbox.ts';
import { readOptions } from '../../src/client/options.ts';
import type { World } from '../../src/client/world.ts';
import { patientWorld } from './fake-fetch.ts';
import { LeaseStandIn, type StandInRequest } from './lease-stand-in.ts';

export interface Setting {
  readonly service: LeaseStandIn;
  readonly world: World;
  /** Lets so much time of the world pass. */
  readonly pass: (ms: number) => Promise<void>;
  readonly consume: (handler: Handler, options?: ConsumeOptions) => Consumer;
  readonly told: { readonly error: unknown; readonly n: unknown; readonly at: number }[];
}

/** A client and a stand-in of the service, in a world in which time passes only where somebody waits for it. */
export function setting(count = 0): Setting {
  const world = patientWorld(0.5);
  const service = new LeaseStandIn(world);
  service.add(...Array.from({ length: count }, (_, n) => ({ n })));
  const settings = readOptions({ baseUrl: 'http://service', apiKey: 'k', fetch: service.fetch });
  const inbox = createInbox(createCall(settings, world), world);
  const told: Setting['told'] = [];
  return {
    ...{ service, world, told },
    pass: (ms) =>
      new Promise((resolve) => {
        world.after(ms, resolve);
      }),
    consume: (handler, options = {}) =>
      inbox.consume(handler, {
        onError: (error, event) => told.push({ error, n: event?.payload['n'], at: world.now() }),
        ...options,
      }),
  };
}

/** The codes of what was told, and of which events. */
export const codesOf = (told: Setting['told']): unknown[] =>
  told.map(({ error, n }) => [(error as { code?: string }).code, n]);

export const settles = ({ requests }: LeaseStandIn): StandInRequest[] =>
  requests.filter(({ path }) => path.endsWith('settle'));
export const leases = ({ requests }: LeaseStandIn): StandInRequest[] =>
  requests.filter(({ path }) => path.endsWith('lease'));
