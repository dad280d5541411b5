import type { Call } from './call.ts';
import { callInParts, problemOf, withSummary } from './many.ts';
import type { ItemResult, ManyResult, Part } from './many.ts';
import type { CallOptions } from './options.ts';
import type { WireSettle, WireSettledItem } from './wire.ts';

/** What to do with leases. Each token may be there once. */
export interface Settlements {
  /** Takes these events out of the inbox: they are done. */
  readonly ack?: readonly string[] | undefined;
  /** Gives these events back. */
  readonly release?: readonly ReleaseItem[] | undefined;
  /** Puts these events into quarantine. */
  readonly reject?: readonly RejectItem[] | undefined;
  /** Lets these leases run for so long from now. */
  readonly extend?: readonly ExtendItem[] | undefined;
}

export interface ReleaseItem {
  readonly token: string;
  /** When the event may be leased again: 0-43,200 seconds from now, 0 by default. */
  readonly delaySeconds?: number | undefined;
  /** False: this lease counts as no attempt. True by default. */
  readonly failed?: boolean | undefined;
  /** Up to 256 characters, for whoever gets the event next. */
  readonly reason?: string | undefined;
}

export interface RejectItem {
  readonly token: string;
  /** Up to 256 characters. */
  readonly reason?: string | undefined;
}

export interface ExtendItem {
  readonly token: string;
  /** 1-43,200. */
  readonly leaseSeconds: number;
}

/**
 * What came of one lease. `lease_lost`: it had run out, or was settled before. After a try of which the answer was lost, that
 * try itself may have released or rejected the event.
 */
export interface SettledItem extends ItemResult<WireSettledItem['outcome']> {
  readonly action: WireSettledItem['action'];
  /** Null: the token is malformed, or nobody knows. */
  readonly eventId: string | null;
}

/** What to do with one lease. */
export type Settlement =
  | { readonly action: 'ack'; readonly token: string }
  | ({ readonly action: 'release' } & ReleaseItem)
  | ({ readonly action: 'reject' } & RejectItem)
  | ({ readonly action: 'extend' } & ExtendItem);

/** Items of one request, at most. */
export const MOST_SETTLEMENTS = 500;

/** Settles leases, in requests of up to 500, in the order ack, release, reject, extend. */
export async function settle(
  call: Call,
  settlements: Settlements,
  { signal }: CallOptions,
): Promise<ManyResult<SettledItem>> {
  const items = inOrder(settlements);
  const parts: Part[] = [];
  for (let from = 0; from < items.length; from += MOST_SETTLEMENTS) {
    const part = items.slice(from, from + MOST_SETTLEMENTS);
    parts.push({ path: SETTLE_PATH, body: JSON.stringify(wireSettle(part)), size: part.length });
  }
  const results = await callInParts<WireSettledItem>(call, parts, signal);
  return withSummary(
    results.map((result) => {
      if (!('failure' in result)) return settledItem(result);
      const { action } = items[result.index] as Settlement;
      return { ...problemOf(result), action, outcome: 'failed', eventId: null };
    }),
  );
}

export const SETTLE_PATH = '/v1/inbox/settle';

/** A result as the service writes it. */
export function settledItem(result: WireSettledItem): SettledItem {
  const { action, outcome, event_id: eventId = null } = result;
  return { ...problemOf(result), action, outcome, eventId };
}

/** In the order of the results. */
export function inOrder({ ack, release, reject, extend }: Settlements): Settlement[] {
  return [
    ...(ack ?? []).map((token) => ({ action: 'ack', token }) as const),
    ...(release ?? []).map((item) => ({ action: 'release', ...item }) as const),
    ...(reject ?? []).map((item) => ({ action: 'reject', ...item }) as const),
    ...(extend ?? []).map((item) => ({ action: 'extend', ...item }) as const),
  ];
}

/** As the service takes it. Members that are undefined do not come into the JSON text. */
export function wireSettle(items: readonly Settlement[]): WireSettle {
  const wire: Required<WireSettle> = { ack: [], release: [], reject: [], extend: [] };
  for (const item of items) {
    const { token } = item;
    if (item.action === 'ack') wire.ack.push(token);
    if (item.action === 'release') {
      wire.release.push({
        token,
        delay_seconds: item.delaySeconds,
        failed: item.failed,
        reason: item.reason,
      });
    }
    if (item.action === 'reject') wire.reject.push({ token, reason: item.reason });
    if (item.action === 'extend') wire.extend.push({ token, lease_seconds: item.leaseSeconds });
  }
  return Object.fromEntries(Object.entries(wire).filter(([, list]) => list.length > 0));
}
