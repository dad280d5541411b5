import { createHash } from 'node:crypto';
import type { Claim } from '../store/event-store.ts';
import { canonicalJson } from './canonical.ts';
import type { Micros } from '../store/event.ts';
import type { EventDraft } from './ingest.ts';

/** Events with the same source, type and payload are one. */
export function contentClaim(tenant: string, draft: EventDraft, expiresAt: Micros): Claim {
  const fingerprint = hash(draft.source, draft.type, canonicalJson(draft.payload));
  return { key: hash('content', tenant, fingerprint), fingerprint, expiresAt };
}

/** Events with the same idempotency key are one, and had better have the same content: all of it but the key. */
export function idempotencyClaim(tenant: string, key: string, draft: EventDraft, expiresAt: Micros): Claim {
  const { source, type, payload, metadata } = draft;
  const rest = metadata === null ? EMPTY_METADATA : canonicalJson(metadata, 'idempotency_key');
  return {
    key: hash('idempotency', tenant, key),
    fingerprint: hash(source, type, canonicalJson(payload), rest),
    expiresAt,
  };
}

/** What metadata amounts to that says nothing, once its default is filled in: a key in a header needs none around it. */
const EMPTY_METADATA = '{"priority":"normal"}';

/** Each part goes with its length, so that no two lists of parts run together to the same bytes. */
function hash(...parts: readonly (string | null)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part === null ? '-' : `${String(part.length)}:${part}`);
  return hash.digest('hex');
}
