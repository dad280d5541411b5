import type { StoredEvent } from './event.ts';

/** What is known of events that may have become pending or free; undefined: nothing. */
export type Hint =
  | (Pick<StoredEvent, 'source' | 'type'> & {
      /** Only whoever leases need look. */
      readonly forLeases?: true;
    })
  | undefined;

export type Watcher = (hint: Hint) => void;

/** Who wants to be told when events of a tenant may be there: `EventStore.watch` for the adapters. */
export interface Watchers {
  /** Calls `changed` at each `tell`, until the returned function is called. */
  readonly watch: (tenant: string, changed: Watcher) => () => void;
  readonly tell: (tenant: string, hint?: Hint) => void;
  readonly isWatched: (tenant: string) => boolean;
  /** Those of whom somebody wants to know. */
  readonly tenants: () => Iterable<string>;
}

export function createWatchers(): Watchers {
  const byTenant = new Map<string, Set<Watcher>>();
  return {
    watch(tenant, changed) {
      // A function of its own: the same one may be given twice.
      const watcher: Watcher = (hint) => {
        changed(hint);
      };
      const watchers = byTenant.get(tenant) ?? new Set();
      byTenant.set(tenant, watchers);
      watchers.add(watcher);
      return () => {
        watchers.delete(watcher);
        if (watchers.size === 0 && byTenant.get(tenant) === watchers) byTenant.delete(tenant);
      };
    },
    tell(tenant, hint) {
      for (const watcher of byTenant.get(tenant) ?? []) watcher(hint);
    },
    isWatched: (tenant) => byTenant.has(tenant),
    tenants: () => byTenant.keys(),
  };
}
