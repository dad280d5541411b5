import type { Latency } from '../harness/histogram.ts';
import type { Consume } from './consume.ts';

/** A request, and the status that answers it. */
export interface Call {
  readonly method: 'GET' | 'POST' | 'DELETE';
  readonly path: string;
  /** JSON text. */
  readonly body?: string;
  readonly status: number;
}

/** Where a load goes. */
export interface Target {
  readonly url: string;
  readonly key: string;
  /** Of the server, where it is on this machine: its CPU time is counted. */
  readonly pid: number | null;
  /** Of the DynamoDB behind it, likewise. */
  readonly storePid?: number | null;
}

/** What a process of load does; each kind but `fill` is a file of this folder. */
export type Job = Target &
  (
    | (Timed & { readonly kind: 'saturate'; readonly traffic: string; readonly clients: number })
    | (Timed & {
        readonly kind: 'closed';
        readonly traffic: string;
        readonly clients: number;
        readonly perSecond?: number;
      })
    | (Timed & Pace & { readonly kind: 'steady'; readonly traffic: string })
    | (Timed & Pace & { readonly kind: 'idle' })
    | (Timed & { readonly kind: 'append'; readonly tenants: number; readonly stored: number })
    | {
        readonly kind: 'drain';
        readonly clients: number;
        readonly perCall: number;
        readonly count: number;
        readonly byLease: boolean;
      }
    | (Timed & Omit<Consume, keyof Target | keyof Timed> & { readonly kind: 'consume' })
    | (Timed & Pace & { readonly kind: 'wait'; readonly traffic: string; readonly waiters: number })
    | { readonly kind: 'cold-keys'; readonly coldKeys: readonly string[] }
    | { readonly kind: 'fill'; readonly clients: number; readonly count: number }
  );

export interface Timed {
  /** Before it is measured. */
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

export interface Pace {
  readonly perSecond: number;
  /**
   * Keeps the core of the load busy instead of sleeping between requests, so that none starts up to a millisecond late: for
   * what takes less than that itself, and leaves the core to the load.
   */
  readonly spin?: boolean;
}

export interface Measurement {
  /** Answered within the time, rightly or not. */
  readonly requests: number;
  /** Another status than the right one, or no answer. */
  readonly errors: number;
  /** What the first of them was. */
  readonly firstError: string | null;
  readonly perSecond: number;
  /** In milliseconds. */
  readonly latency: Latency;
  /** Cores that the server kept busy; null where the system does not tell, or it runs elsewhere. */
  readonly serverCores: number | null;
  /** Likewise the DynamoDB behind it. */
  readonly storeCores: number | null;
  /** That the server had sent to disk; null where the system does not tell, or it runs elsewhere. */
  readonly writtenBytes: number | null;
}
