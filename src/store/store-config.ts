export const STORES = ['embedded', 'dynamodb'] as const;
export type StoreKind = (typeof STORES)[number];

/** The part of the configuration that opens a store. */
export interface StoreConfig {
  readonly store: StoreKind;
  /** Of the embedded store. */
  readonly dataDir: string;
  readonly dynamodb: DynamoConfig;
  readonly eventTtlSeconds: number;
  /** Leases without an acknowledgement after which an event goes into quarantine; 0: no number does that. */
  readonly maxAttempts: number;
}

export interface DynamoConfig {
  /** Null: AWS. */
  readonly endpoint: string | null;
  readonly region: string;
  readonly tables: { readonly events: string; readonly claims: string; readonly keys: string };
  readonly createTables: boolean;
  readonly shards: number;
  readonly readShards: number;
}
