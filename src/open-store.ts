import type { Config } from './config.ts';
import type { EventStore, KeyStore } from './store/store.ts';
import { openEmbeddedStore, type EmbeddedOptions } from './store/embedded/store.ts';

/** The store with all that is kept in it. */
export interface Store extends EventStore {
  readonly keys: KeyStore;
  /** Time of the newest event at open, 0 where it is not known. */
  readonly newestTime: number;
}

export type StoreOptions = Required<Pick<EmbeddedOptions, 'log' | 'onFatal' | 'exclusive'>>;

/** Opens the store that the configuration names. */
export function openStore(config: Config, options: StoreOptions): Promise<Store> {
  return openEmbeddedStore({
    path: config.dataDir,
    eventTtl: config.eventTtlSeconds * 1e6,
    now: () => Date.now() * 1000,
    ...options,
  });
}
