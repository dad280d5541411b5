/**
 * A bounded resource (places in a queue, bytes, calls) that tenants share. A tenant may hold as much as is still free. So one
 * that floods gets half, two get a third each, and something is always left for the others: a tenant that holds nothing is
 * refused only when its request does not fit at all. These are the dynamic thresholds of Choudhury and Hahne, "Dynamic queue
 * length thresholds for shared-memory packet switches" (IEEE/ACM Transactions on Networking 6(2), 1998), with a factor of 1.
 */
export interface Shares {
  /** Takes `amount` for the tenant. Returns false, and takes nothing, when that is too much. */
  take(tenant: string, amount: number): boolean;
  /** The most that `take` would grant this tenant. */
  room(tenant: string): number;
  /** Gives back what was taken. */
  give(tenant: string, amount: number): void;
  /** What all tenants hold together. */
  held(): number;
}

/** @param capacity what all tenants hold at most together, in the unit of the amounts. */
export function createShares(capacity: number): Shares {
  const tenants = new Map<string, number>();
  let total = 0;

  return {
    take(tenant, amount) {
      const free = capacity - total - amount;
      if (free < 0) return false;
      const mine = tenants.get(tenant) ?? 0;
      if (mine > 0 && mine + amount > free) return false;
      tenants.set(tenant, mine + amount);
      total += amount;
      return true;
    },

    room(tenant) {
      const mine = tenants.get(tenant) ?? 0;
      return mine > 0 ? Math.floor((capacity - total - mine) / 2) : capacity - total;
    },

    give(tenant, amount) {
      const left = (tenants.get(tenant) ?? 0) - amount;
      // Only tenants that hold something stay in the map, so its size is bounded by what is under way.
      if (left > 0) tenants.set(tenant, left);
      else tenants.delete(tenant);
      total -= amount;
    },

    held: () => total,
  };
}
