import type { Place } from '../harness/cores.ts';
import { measure } from '../harness/load.ts';
import type { Emulator, Service, StoreName } from '../harness/service.ts';
import type { Measurement, Pace, Target, Timed } from '../load/job.ts';

/** What a suite is run on. */
export interface Setting {
  readonly store: StoreName | 'remote';
  /** How the store is called in a table. */
  readonly storeLabel: string;
  /** Where that is the store. */
  readonly dynamodb: Emulator | null;
  readonly rounds: number;
  readonly times: Timed;
  /** False: it is only to be seen that everything works. */
  readonly withTargets: boolean;
  /** Most events that an inbox is filled with. */
  readonly mostPending: number;
  /** A checked service with an empty inbox, in a fresh process wherever it can be started here. */
  readonly start: (options?: {
    moreKeys?: number;
    env?: Readonly<Record<string, string>>;
  }) => Promise<Service>;
  readonly progress: (line: string) => void;
}

/** A load without its address and duration. */
export type Load =
  | { readonly kind: 'saturate'; readonly traffic: string; readonly clients: number }
  | {
      readonly kind: 'closed';
      readonly traffic: string;
      readonly clients: number;
      /** Of all clients together, at most. */
      readonly perSecond?: number;
    }
  | (Pace & { readonly kind: 'steady'; readonly traffic: string });

/** Clients of the closed loops that show how much goes through: with 64, all of them often wait for one fsync. */
export const CROWD = 256;

export function measureOne(setting: Setting, target: Target, load: Load): Promise<Measurement> {
  const storePid = setting.dynamodb?.pid ?? null;
  return measure({ ...setting.times, ...address(target), storePid, ...load }, loadPlace(setting));
}

/** What a load needs to know of a service. */
export function address({ url, key, pid }: Target): Target {
  return { url, key, pid };
}

/** An emulator needs whatever core is free. */
export function loadPlace({ store }: Pick<Setting, 'store'>): Place {
  return store === 'embedded' ? 'load' : 'any';
}
