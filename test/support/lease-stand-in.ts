import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { World } from '../../src/client/world.ts';
import type { WireLeaseCall, WireSettle, WireSettledItem } from '../../src/client/wire.ts';

interface Held {
  readonly id: string;
  readonly payload: Record<string, unknown>;
  state: 'pending' | 'acknowledged' | 'quarantined';
  attempts: number;
  lastReason: string | null;
  token: string | null;
  until: number;
}

/** What the network does to one request: nothing, loses it, or loses its answer. */
export type Fault = 'none' | 'lost' | 'answer lost' | { readonly status: number };

export interface StandInRequest {
  readonly path: string;
  readonly body: WireLeaseCall & WireSettle;
  readonly key: string | null;
  readonly at: number;
}

interface Reply {
  readonly status: number;
  readonly body: unknown;
}

/**
 * The lease and settle routes of one tenant, in memory, with the meaning that they have in the service: enough for tests of the
 * client. Time is the world's.
 */
export class LeaseStandIn {
  readonly events: Held[] = [];
  readonly requests: StandInRequest[] = [];
  /** Decides about each request. */
  fault: (request: StandInRequest) => Fault = () => 'none';
  /** What `settle` says of an item, instead of carrying it out. */
  refuse: (action: string, token: string) => Partial<WireSettledItem> | undefined = () => undefined;
  /** The most leases that ran at once. */
  mostLeased = 0;
  readonly #world: World;
  readonly #calls = new Map<string, { readonly until: number; readonly tokens: readonly string[] }>();
  readonly #waiters = new Set<() => void>();
  #tokens = 0;

  constructor(world: World) {
    this.#world = world;
  }

  add(...payloads: Record<string, unknown>[]): void {
    for (const payload of payloads) {
      const id = `id ${String(this.events.length)}`;
      const free = { state: 'pending', attempts: 0, lastReason: null, token: null, until: 0 } as const;
      this.events.push({ id, payload, ...free });
    }
    for (const wake of [...this.#waiters]) wake();
  }

  in(state: Held['state']): number {
    return this.events.filter((event) => event.state === state).length;
  }

  /** Answers requests of a client that is given this instead of the global one. */
  readonly fetch: typeof globalThis.fetch = async (input, init = {}) => {
    const { pathname } = new URL(input);
    const key = new Headers(init.headers).get('idempotency-key');
    const reply = await this.#answer(pathname, init.body as string, key, init.signal ?? undefined);
    if (reply === 'lost') throw new TypeError('the connection broke');
    return new Response(JSON.stringify(reply.body), { status: reply.status });
  };

  /** Listens on a port of the loopback address. */
  async listen(): Promise<{ readonly url: string; readonly close: () => void }> {
    const server = createServer((request, response) => void this.#serve(request, response));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const close = (): void => {
      server.close();
      server.closeAllConnections();
    };
    return { url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`, close };
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    const gone = new AbortController();
    response.on('close', () => {
      gone.abort(new Error('gone'));
    });
    const key = request.headers['idempotency-key'] as string | undefined;
    const reply = await this.#answer(request.url ?? '', text, key ?? null, gone.signal).catch(
      () => 'lost' as const,
    );
    if (reply === 'lost') request.socket.destroy();
    else
      response
        .writeHead(reply.status, { 'content-type': 'application/json' })
        .end(JSON.stringify(reply.body));
  }

  async #answer(
    path: string,
    text: string,
    key: string | null,
    signal?: AbortSignal,
  ): Promise<Reply | 'lost'> {
    const body = JSON.parse(text) as StandInRequest['body'];
    const request = { path, body, key, at: this.#world.now() };
    this.requests.push(request);
    const fault = this.fault(request);
    if (fault === 'lost') return 'lost';
    if (typeof fault === 'object') return refusal(fault.status);
    const reply = path.endsWith('/lease') ? await this.#lease(body, key, signal) : this.#settle(body);
    return fault === 'answer lost' ? 'lost' : reply;
  }

  async #lease(body: WireLeaseCall, key: string | null, signal?: AbortSignal): Promise<Reply> {
    const results = this.#results(body.settle ?? {});
    if (results === undefined) return refusal(400);
    const endsAt = this.#world.now() + (body.wait_seconds ?? 0) * 1000;
    let leased = this.#hand(body, key);
    while (
      leased.length === 0 &&
      this.#world.now() < endsAt &&
      results.every((one) => one.error === undefined)
    ) {
      await this.#news(endsAt, signal);
      leased = this.#hand(body, key);
    }
    const pending = this.in('pending');
    return {
      status: 200,
      body: {
        events: leased.map((event) => this.#wire(event)),
        settled: results,
        backlog: { empty: pending === 0, pending, is_lower_bound: false },
        request_id: 'r',
      },
    };
  }

  /** Hands out what is free, or again what this call has been given. */
  #hand({ limit = 10, lease_seconds: seconds = 60 }: WireLeaseCall, key: string | null): Held[] {
    const now = this.#world.now();
    const before = key === null ? undefined : this.#calls.get(key);
    if (before && before.until > now) {
      return this.events.filter(({ token, until }) => until > now && before.tokens.includes(token ?? ''));
    }
    const free = this.events
      .filter(({ state, until }) => state === 'pending' && until <= now)
      .slice(0, limit);
    for (const event of free) {
      event.attempts++;
      event.token = `token ${String(this.#tokens++)}`;
      event.until = now + seconds * 1000;
    }
    if (key !== null && free.length > 0) {
      this.#calls.set(key, { until: now + seconds * 1000, tokens: free.map(({ token }) => token ?? '') });
    }
    const running = this.events.filter(
      ({ state, token, until }) => state === 'pending' && token && until > now,
    );
    this.mostLeased = Math.max(this.mostLeased, running.length);
    return free;
  }

  /** Waits until something may have become free. */
  #news(endsAt: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const now = this.#world.now();
      const ends = this.events.map(({ until }) => until).filter((until) => until > now);
      const end = (settle: () => void): void => {
        stopTimer();
        this.#waiters.delete(wake);
        signal?.removeEventListener('abort', leave);
        settle();
      };
      const wake = (): void => {
        end(resolve);
      };
      const leave = (): void => {
        end(() => {
          reject(signal?.reason as Error);
        });
      };
      const stopTimer = this.#world.after(Math.min(endsAt, ...ends) - now, wake);
      signal?.addEventListener('abort', leave);
      this.#waiters.add(wake);
      if (signal?.aborted === true) leave();
    });
  }

  #wire(event: Held): unknown {
    const { id, payload, token, until, attempts, lastReason } = event;
    return {
      ...{ event_id: id, source: 's', event_type: 't', payload, metadata: null, status: 'pending' },
      ...{ created_at: 'then', acknowledged_at: null },
      lease: { token, expires_at: new Date(until).toISOString(), attempt: attempts, last_reason: lastReason },
    };
  }

  #settle(body: WireSettle): Reply {
    const results = this.#results(body);
    if (results === undefined) return refusal(400);
    return { status: results.some(({ error }) => error) ? 207 : 200, body: { results, summary: {} } };
  }

  /** @returns undefined where a token comes twice. */
  #results({ ack = [], release = [], reject = [], extend = [] }: WireSettle): WireSettledItem[] | undefined {
    const items = [
      ...ack.map((token) => ({ action: 'ack', token }) as const),
      ...release.map((item) => ({ action: 'release', ...item }) as const),
      ...reject.map((item) => ({ action: 'reject', ...item }) as const),
      ...extend.map((item) => ({ action: 'extend', ...item }) as const),
    ];
    if (new Set(items.map(({ token }) => token)).size < items.length) return undefined;
    return items.map((item, index) => {
      const { action, token } = item;
      const refused = this.refuse(action, token);
      const outcome = refused?.outcome ?? this.#carryOut(item);
      const isGood = ['acknowledged', 'released', 'quarantined', 'extended'].includes(outcome);
      const error = { error: { code: outcome.toUpperCase(), message: outcome }, retryable: false };
      return { index, action, outcome, ...(isGood ? {} : error), ...refused };
    });
  }

  #carryOut(
    item: { readonly token: string } & (
      | { readonly action: 'ack' }
      | {
          readonly action: 'release';
          delay_seconds?: number | undefined;
          failed?: boolean | undefined;
          reason?: string | undefined;
        }
      | { readonly action: 'reject'; reason?: string | undefined }
      | { readonly action: 'extend'; lease_seconds: number }
    ),
  ): WireSettledItem['outcome'] {
    const now = this.#world.now();
    const event = this.events.find(({ token }) => token === item.token);
    if (!event) return 'lease_lost';
    if (item.action === 'ack') {
      event.state = 'acknowledged';
      return 'acknowledged';
    }
    if (event.state !== 'pending' || event.until <= now) return 'lease_lost';
    if (item.action === 'extend') {
      event.until = now + item.lease_seconds * 1000;
      return 'extended';
    }
    event.token = null;
    event.until = now + (item.action === 'release' ? (item.delay_seconds ?? 0) * 1000 : 0);
    event.lastReason = item.reason ?? event.lastReason;
    if (item.action === 'reject') event.state = 'quarantined';
    else if (item.failed === false) event.attempts--;
    for (const wake of [...this.#waiters]) wake();
    return item.action === 'reject' ? 'quarantined' : 'released';
  }
}

function refusal(status: number): Reply {
  const code = status === 400 ? 'VALIDATION_ERROR' : status === 401 ? 'UNAUTHORIZED' : 'SERVICE_UNAVAILABLE';
  return { status, body: { error: { code, message: `because of ${code}`, details: null, request_id: 'r' } } };
}
