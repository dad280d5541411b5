/** A write, from its call to its answer. */
export interface Write extends Call {
  /** What `run` returned or threw. The caller gets it once the transaction is on disk. */
  result: unknown;
  error: Error | undefined;
  /** Neighbours among those that wait, in the order of arrival. */
  earlier: Write | undefined;
  later: Write | undefined;
  /** The next write of the same tenant. */
  laterOfTenant: Write | undefined;
}

export interface Call {
  readonly tenant: string;
  readonly bytes: number;
  /** How many writes it counts as. */
  readonly writes: number;
  /** When the write came. */
  readonly since: number;
  readonly run: () => unknown;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/** Writes in two orders at once: of their arrival, and by turns of their tenants. Both keep the order within a tenant. */
export interface WriteLines {
  add(call: Call): void;
  /** The write that came first. */
  oldest(): Write | undefined;
  /** The first write of the tenant whose turn it is. The turn lasts until a write of this tenant is taken. */
  inTurn(): Write | undefined;
  /** @param write the first of its tenant. */
  take(write: Write): void;
}

export function createWriteLines(): WriteLines {
  const lines = new Map<string, Line>();
  let turns = lines.values();
  let turn: Line | undefined;
  let first: Write | undefined;
  let last: Write | undefined;

  return {
    add({ tenant, bytes, writes, since, run, resolve, reject }) {
      // One literal: an object made by spreading cost 7 µs a write.
      const write: Write = {
        tenant,
        bytes,
        writes,
        since,
        run,
        resolve,
        reject,
        result: undefined,
        error: undefined,
        earlier: last,
        later: undefined,
        laterOfTenant: undefined,
      };
      if (last === undefined) first = write;
      else last.later = write;
      last = write;
      const line = lines.get(tenant);
      if (line === undefined) lines.set(tenant, { first: write, last: write });
      else {
        line.last.laterOfTenant = write;
        line.last = write;
      }
    },

    oldest: () => first,

    inTurn: () => (turn ??= nextLine())?.first,

    take(write) {
      const { tenant, earlier, later, laterOfTenant } = write;
      if (earlier === undefined) first = later;
      else earlier.later = later;
      if (later === undefined) last = earlier;
      else later.earlier = earlier;
      const line = lines.get(tenant);
      if (line === turn) turn = undefined;
      if (laterOfTenant === undefined) lines.delete(tenant);
      else if (line !== undefined) line.first = laterOfTenant;
      // A write that is old in terms of the garbage collector would keep those that came after it alive.
      write.earlier = write.later = write.laterOfTenant = undefined;
    },
  };

  /** The iterator goes on where it was, and also meets lines that were added meanwhile. */
  function nextLine(): Line | undefined {
    const next = turns.next();
    if (!next.done) return next.value;
    turns = lines.values();
    return turns.next().value;
  }
}

/** The waiting writes of one tenant. */
interface Line {
  first: Write;
  last: Write;
}
