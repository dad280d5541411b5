import type { World } from '../../src/client/world.ts';

/** What a fake service answers with; an error breaks the connection, `silent` never answers. */
export type FakeReply =
  | { readonly status: number; readonly body?: unknown; readonly headers?: Record<string, string> }
  | Error
  | 'silent';

export interface FakeRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: unknown;
  /** When it was sent, in milliseconds of the fake world. */
  readonly at: number;
}

export interface FakeService {
  readonly fetch: typeof globalThis.fetch;
  readonly world: World;
  readonly requests: FakeRequest[];
}

/**
 * Replies one after the other, the last one for ever, in a world in which time passes only where somebody waits for it.
 *
 * @param random what each draw gives.
 */
export function fakeService(replies: readonly FakeReply[], random = 0.5): FakeService {
  const world = patientWorld(random);
  const requests: FakeRequest[] = [];
  return {
    world,
    requests,
    fetch: (input, init = {}) => {
      const reply = replies[Math.min(requests.length, replies.length - 1)] ?? 'silent';
      requests.push({
        method: init.method ?? 'GET',
        url: input as string,
        headers: new Headers(init.headers),
        body: typeof init.body === 'string' ? JSON.parse(init.body) : undefined,
        at: world.now(),
      });
      return new Promise((resolve, reject) => {
        const { signal } = init;
        const abort = (): void => {
          reject(signal?.reason as Error);
        };
        if (signal?.aborted) abort();
        signal?.addEventListener('abort', abort);
        if (reply === 'silent') return;
        if (reply instanceof Error) reject(reply);
        else resolve(responseFrom(reply));
      });
    },
  };
}

function responseFrom({ status, body, headers }: Exclude<FakeReply, Error | 'silent'>): Response {
  const text = typeof body === 'string' ? body : JSON.stringify(body ?? {});
  return new Response(text, { status, headers: headers ?? {} });
}

/** Jumps to the next timer as soon as nothing else is left to do. */
export function patientWorld(random: number): World {
  let now = 0;
  const timers = new Map<() => void, number>();
  let looking = false;
  const look = (): void => {
    looking = false;
    const [next] = [...timers].sort(([, a], [, b]) => a - b);
    if (!next) return;
    const [run, at] = next;
    timers.delete(run);
    now = Math.max(now, at);
    run();
    lookLater();
  };
  const lookLater = (): void => {
    if (looking) return;
    looking = true;
    setImmediate(look);
  };
  return {
    now: () => now,
    random: () => random,
    after(ms, run) {
      const timer = (): void => {
        run();
      };
      timers.set(timer, now + ms);
      lookLater();
      return () => timers.delete(timer);
    },
  };
}
