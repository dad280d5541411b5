import { createHash } from 'node:crypto';
import type { Claim } from '../store/event-store.ts';
import { canonicalJson } from './canonical.ts';
import type { Micros } from '../store/event.ts';
import type { EventDraft } from './ingest.ts';

/** Events with the same source, type and payload are duplicates. */
export function contentClaim(tenant: string, draft: EventDraft, expiresAt: Micros): Claim {
  const fingerprint = hash(draft.source, draft.type, canonicalJson(draft.payload));
  return { key: hash('content', tenant, fingerprint), fingerprint, expiresAt };
}

/** Events with the same idempotency key are duplicates. Their content, all but the key, must be the same as well. */
export function idempotencyClaim(tenant: string, key: string, draft: EventDraft, expiresAt: Micros): Claim {
  return { key: hash('idempotency', tenant, key), fingerprint: contentOf(draft), expiresAt };
}

/** As `idempotencyClaim`, for the event at a place of a batch with one key for all. No key of a single event is equal to it. */
export function batchClaim(
  tenant: string,
  key: string,
  index: number,
  draft: EventDraft,
  expiresAt: Micros,
): Claim {
  const name = hash('idempotency-batch', tenant, `${key}/${String(index)}`);
  return { key: name, fingerprint: contentOf(draft), expiresAt };
}

function contentOf({ source, type, payload, metadata }: EventDraft): string {
  const rest = metadata === null ? EMPTY_METADATA : canonicalJson(metadata, 'idempotency_key');
  return hash(source, type, canonicalJson(payload), rest);
}

/**
 * What empty metadata becomes once its default is filled in. An event without metadata counts as one with this, because an
 * idempotency key may come in a header instead.
 */
const EMPTY_METADATA = '{"priority":"normal"}';

/** Each part goes in with its length, so that different lists of parts never give the same bytes. */
function hash(...parts: readonly (string | null)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part === null ? '-' : `${String(part.length)}:${part}`);
  return hash.digest('hex');
}
