import type { Call } from './call.ts';
import { eventFrom, type TriggersEvent } from './event.ts';
import { walk, type ListOptions, type Walk } from './walk.ts';
import { callInParts, cutIntoParts, problemOf, withSummary } from './many.ts';
import type { ItemResult, ManyResult, PartResult } from './many.ts';
import type { CallOptions } from './options.ts';
import type { WireMany, WireQuarantinedEvent, WireRedrive, WireRedrivenItem } from './wire.ts';

export interface QuarantinedEvent<Payload = Record<string, unknown>> extends TriggersEvent<Payload> {
  /** How often it was leased without being acknowledged. */
  readonly attempts: number;
  readonly lastReason: string | null;
  readonly quarantinedAt: string;
}

/** Which quarantined events to put back, where their ids do not say it. */
export interface RedriveFilter {
  /** Only events with exactly this source. */
  readonly source?: string | undefined;
  /** Only events of exactly this type. */
  readonly eventType?: string | undefined;
  /** 1-500. A try of which the answer was lost may have put back as many others. */
  readonly limit: number;
}

/** What came of one event of `redrive`. `not_found`: it is not in quarantine. */
export interface RedrivenItem extends ItemResult<WireRedrivenItem['outcome']> {
  readonly eventId: string;
}

/** The events that were rejected, or had their last attempt. They are kept, and no consumer gets them. */
export interface Quarantine {
  /** Each once: those that were there at the start of the walk. */
  list<Payload = Record<string, unknown>>(options?: ListOptions): Walk<QuarantinedEvent<Payload>>;
  /**
   * Puts events back into the inbox, with the same id and time, and no attempts. Ids go in requests of up to 500. Look at the
   * outcomes: it resolves also where some are not there.
   */
  redrive(which: readonly string[] | RedriveFilter, options?: CallOptions): Promise<ManyResult<RedrivenItem>>;
}

export function createQuarantine(call: Call): Quarantine {
  return {
    list<Payload>(options: ListOptions = {}) {
      return walk(call, '/v1/quarantine', options, (event) => quarantinedFrom<Payload>(event));
    },

    async redrive(which, { signal } = {}) {
      const results = await ('limit' in which
        ? redriveSome(call, which, signal)
        : callInParts<WireRedrivenItem>(call, partsOf(which), signal));
      return withSummary(results.map((result) => redrivenItem(result, 'limit' in which ? [] : which)));
    },
  };
}

function quarantinedFrom<Payload>(event: unknown): QuarantinedEvent<Payload> {
  const wire = event as WireQuarantinedEvent;
  return {
    ...eventFrom<Payload>(wire),
    attempts: wire.attempts,
    lastReason: wire.last_reason,
    quarantinedAt: wire.quarantined_at,
  };
}

const PATH = '/v1/quarantine/redrive';

/** In one request: a second one would put back others. */
async function redriveSome(
  call: Call,
  { source, eventType, limit }: RedriveFilter,
  signal: AbortSignal | undefined,
): Promise<readonly WireRedrivenItem[]> {
  const { body } = await call({
    method: 'POST',
    path: PATH,
    body: JSON.stringify({ source, event_type: eventType, limit } satisfies WireRedrive),
    signal,
    success: { statuses: [200, 207], member: 'results' },
  });
  return (body as WireMany<WireRedrivenItem>).results;
}

function partsOf(eventIds: readonly string[]) {
  const parts = cutIntoParts(
    eventIds.map((eventId) => JSON.stringify(eventId)),
    '{"event_ids":[]}'.length,
  );
  return parts.map((part) => ({
    path: PATH,
    body: `{"event_ids":[${part.join(',')}]}`,
    size: part.length,
  }));
}

function redrivenItem(result: PartResult<WireRedrivenItem>, eventIds: readonly string[]): RedrivenItem {
  const eventId = eventIds[result.index] ?? '';
  const problem = problemOf(result);
  if ('failure' in result) return { ...problem, outcome: 'failed', eventId };
  return { ...problem, outcome: result.outcome, eventId: result.event_id };
}
