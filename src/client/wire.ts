import type { FieldError } from './error.ts';

/** What the service takes and answers: a test compares these with its OpenAPI document. */
export interface WireEvent {
  readonly event_id: string;
  readonly source: string | null;
  readonly event_type: string;
  readonly payload: Record<string, unknown>;
  readonly metadata: Record<string, unknown> | null;
  readonly status: 'pending' | 'acknowledged' | 'quarantined';
  readonly created_at: string;
  readonly acknowledged_at: string | null;
}

export interface WireInboxEvent extends WireEvent {
  readonly leased_until: string | null;
}

export interface WireNewEvent {
  readonly source: string;
  readonly event_type: string;
  readonly payload: object;
  readonly metadata?: Metadata;
}

export interface WireCreated {
  readonly event_id: string;
  readonly created_at: string;
}

export interface WirePage<Event = WireInboxEvent> {
  readonly events: readonly Event[];
  readonly pagination: { readonly next_cursor: string | null; readonly limit: number };
}

export interface WireAcknowledged {
  readonly event_id: string;
  readonly acknowledged_at: string;
}

export interface WireItemError {
  readonly code: string;
  readonly message: string;
  readonly details?: readonly FieldError[] | null;
}

/** What every result of a call for many has. */
export interface WireItem {
  readonly index: number;
  readonly error?: WireItemError;
  readonly retryable?: boolean;
}

export interface WireCreatedItem extends WireItem {
  readonly outcome: 'created' | 'duplicate' | 'rejected' | 'failed';
  readonly event_id?: string;
  readonly created_at?: string;
}

export interface WireAcknowledgedItem extends WireItem {
  readonly outcome: 'acknowledged' | 'already_acknowledged' | 'leased' | 'not_found' | 'failed';
  readonly event_id: string;
  readonly acknowledged_at?: string;
}

export interface WireMany<Item extends WireItem> {
  readonly results: readonly Item[];
}

export interface WireLease {
  readonly token: string;
  readonly expires_at: string;
  readonly attempt: number;
  readonly last_reason: string | null;
}

export interface WireLeasedEvent extends WireEvent {
  readonly lease: WireLease;
}

export interface WireSettle {
  readonly ack?: string[];
  readonly release?: {
    token: string;
    delay_seconds?: number | undefined;
    failed?: boolean | undefined;
    reason?: string | undefined;
  }[];
  readonly reject?: { token: string; reason?: string | undefined }[];
  readonly extend?: { token: string; lease_seconds: number }[];
}

export interface WireSettledItem extends WireItem {
  readonly action: 'ack' | 'release' | 'reject' | 'extend';
  readonly outcome:
    | 'acknowledged'
    | 'released'
    | 'quarantined'
    | 'extended'
    | 'lease_lost'
    | 'lease_malformed'
    | 'not_found'
    | 'failed';
  readonly event_id?: string;
  readonly acknowledged_at?: string;
  readonly expires_at?: string;
}

export interface WireLeaseCall {
  readonly limit?: number | undefined;
  readonly lease_seconds?: number | undefined;
  readonly wait_seconds?: number | undefined;
  readonly source?: string | undefined;
  readonly event_type?: string | undefined;
  readonly settle?: WireSettle | undefined;
}

export interface WireLeases {
  readonly events: readonly WireLeasedEvent[];
  readonly settled: readonly WireSettledItem[];
  readonly backlog: { readonly empty: boolean; readonly pending: number; readonly is_lower_bound: boolean };
}

export interface WireQuarantinedEvent extends WireEvent {
  readonly attempts: number;
  readonly last_reason: string | null;
  readonly quarantined_at: string;
}

export interface WireRedrivenItem extends WireItem {
  readonly outcome: 'redriven' | 'not_found' | 'failed';
  readonly event_id: string;
}

export interface WireRedrive {
  readonly event_ids?: string[];
  readonly limit?: number;
  readonly source?: string | undefined;
  readonly event_type?: string | undefined;
}

export interface WireDeleted {
  readonly event_id: string;
}

export interface WireQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  readonly source?: string | undefined;
  readonly event_type?: string | undefined;
}

/** Stored with an event as it is. These members mean something to the service; any others are yours. */
export interface Metadata {
  readonly priority?: 'low' | 'normal' | 'high';
  readonly correlation_id?: string;
  /** Makes a repeated send harmless, as `idempotencyKey` does; any text of 1-255 characters. */
  readonly idempotency_key?: string;
  readonly [member: string]: unknown;
}

export interface Health {
  readonly status: 'healthy';
  /** ISO 8601 UTC with microseconds. */
  readonly timestamp: string;
  readonly version: string;
}
