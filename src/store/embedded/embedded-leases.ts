import { createHash, randomBytes } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Micros } from '../event.ts';
import {
  unused,
  type Leased,
  type LeaseRequest,
  type LeaseResult,
  type LeaseStore,
  type Settlement,
} from '../lease-store.ts';
import { pendingAt } from './event-at.ts';
import { createHandOut, leaseOf, type HandingOutParts } from './handing-out.ts';
import { inboxKey, inboxSequence } from './inbox-index.ts';
import { CALL_DIGITS, callOf, handOf, type Call } from './lease-table.ts';
import type { Sequences } from './sequences.ts';
import { createSettling, redriveNow, type SettlingParts } from './settling.ts';
import { inParts, oneOfMany, SMALL_WRITE_BYTES } from './write-many.ts';
import type { Writer } from './writer.ts';

interface Parts extends HandingOutParts, Omit<SettlingParts, 'onExtended'> {
  readonly writer: Writer;
  readonly sequences: Sequences;
  /** Is told of each tenant that gets a pending event, before that is on disk. */
  readonly touch: (tenant: string) => void;
  /** Calls that can be repeated, from before the start. */
  readonly calls: ReadonlyMap<string, Call>;
}

/** Calls whose leases can be had again. One that was dropped gets new leases. */
const CALLS = 100_000;

/** Leases, quarantine and redrive: docs/decisions/035-leases-on-the-embedded-store.md. */
export function createLeases(parts: Parts): Omit<LeaseStore, 'listQuarantined'> {
  const { writer, sequences, now } = parts;
  const calls = new LRUCache<string, Call>({ max: CALLS });
  for (const [name, call] of parts.calls) calls.set(name, call);
  const settling = createSettling({
    ...parts,
    onExtended(leaseId, until) {
      const call = calls.peek(callOf(leaseId));
      if (call !== undefined) call.until = Math.max(call.until, until);
    },
  });
  const { lease, mayFind } = createLeasing(parts, calls);

  const settle = (tenant: string, settlements: readonly Settlement[]) =>
    inParts(writer, tenant, settlements, (one) => oneOfMany(() => settling.settle(tenant, one)));

  return {
    settle,

    async lease(tenant, request) {
      const { settle: first = [], limit } = request;
      const refusal = writer.refusal();
      if (refusal !== undefined) throw refusal;
      const { callKey } = request;
      const name = callKey === undefined ? randomName() : callName(tenant, callKey);
      // Most looks of those who wait find nothing, and need no transaction.
      if (first.length === 0 && !mayFind(tenant, request, name)) return { settled: [], leased: [] };
      const settling = first.length === 0 ? [] : settle(tenant, first);
      const leasing = writer.write(
        tenant,
        SMALL_WRITE_BYTES * limit,
        () => lease(tenant, request, name),
        limit,
      );
      if (first.length === 0) return { settled: [], ...(await leasing) };
      const [settled, found] = await Promise.allSettled([settling, leasing]);
      const { leased, ...more } = found.status === 'fulfilled' ? found.value : { leased: [] };
      if (settled.status === 'fulfilled') return { settled: settled.value, leased, ...more };
      // The caller learns that nothing was done.
      const given = leased.map((one) => unused(one.event.id, one.lease.id));
      if (given.length > 0) await settle(tenant, given);
      throw settled.reason;
    },

    redrive(tenant, ids) {
      // The inbox is handed out in the order of its places, so they are given out in the order of the calls.
      const items = ids.map((id) => ({ id, to: sequences.next(now()) }));
      return inParts(writer, tenant, items, ({ id, to }) =>
        oneOfMany(() => {
          parts.touch(tenant);
          return redriveNow(parts, tenant, id, to);
        }),
      );
    },
  };
}

/**
 * `lease` leases within a transaction. `mayFind` says beforehand whether there may be something for it. Both take the name of the
 * call.
 */
function createLeasing(parts: Parts, calls: LRUCache<string, Call>) {
  const { lmdb, leases, now } = parts;
  const { places } = leases;
  const { handOut, mayHave } = createHandOut(parts);

  return { lease, mayFind };

  function mayFind(tenant: string, request: LeaseRequest, name: string): boolean {
    return calls.peek(name) !== undefined || mayHave(tenant, request, now());
  }

  function lease(tenant: string, request: LeaseRequest, name: string): Omit<LeaseResult, 'settled'> {
    const { callKey, limit, leaseFor } = request;
    const time = now();
    const known = callKey === undefined ? undefined : calls.get(name);
    if (known !== undefined && known.until > time) {
      return { leased: leasedBy(tenant, name, known, time), repeated: true };
    }
    places.requireRoom(tenant, limit, time);
    const { taken, more } = handOut(tenant, request, name, time);
    const [first, last] = [taken[0], taken.at(-1)];
    if (first === undefined || last === undefined) return { leased: [], more };
    const range = { first: first.sequence, last: last.sequence };
    places.hold(tenant, handOf(first.leased.lease.id), time + leaseFor, range, taken.length);
    if (callKey !== undefined) calls.set(name, { ...range, until: time + leaseFor });
    return { leased: taken.map(({ leased }) => leased) };
  }

  /** The leases of that call that still run. */
  function leasedBy(tenant: string, name: string, { first, last }: Call, time: Micros): readonly Leased[] {
    const range = { start: inboxKey(tenant, first), end: inboxKey(tenant, last + 1) };
    return [...lmdb.inbox.getKeys(range)].flatMap((key) => {
      const sequence = inboxSequence(key, tenant);
      const record = sequence === undefined ? undefined : leases.at(sequence);
      if (sequence === undefined || record === undefined || record.id === null) return [];
      if (callOf(record.id) !== name || record.until <= time) return [];
      const found = pendingAt(parts, tenant, sequence);
      return found === undefined ? [] : [{ event: found.event, lease: leaseOf(record, record.id) }];
    });
  }
}

function randomName(): string {
  return randomBytes(CALL_DIGITS / 2).toString('hex');
}

function callName(tenant: string, callKey: string): string {
  return createHash('sha256').update(`${tenant}\0${callKey}`).digest('hex').slice(0, CALL_DIGITS);
}
