import { waitMs } from './backoff.ts';
import { TriggersError, type FieldError } from './error.ts';
import type { Settings } from './options.ts';
import type { World } from './world.ts';

export interface Request {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** From `/v1` on, with the query. */
  readonly path: string;
  /** JSON text. */
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** What a good reply has: anything else that calls itself a success comes from somebody else. */
  readonly success: { readonly statuses: readonly number[]; readonly member: string };
  /** The status that says that this was done before: after a failed try, that try may have been the one. */
  readonly doneBefore?: number;
  /** Whether a good reply has left something to be done by another try. After the last one it is the answer all the same. */
  readonly unfinished?: (body: unknown) => boolean;
  /** Where several requests make one call: its `deadline`. */
  readonly deadline?: number;
  /** How long the service may hold its answer back, in milliseconds: so much longer may each try take, and the call. */
  readonly heldMs?: number;
  /** Instead of the option of the client. */
  readonly maxRetries?: number;
  /** Told of each try that failed and will be followed by another. @param tries that have failed so far. */
  readonly onRetry?: (failure: TriggersError, tries: number) => void;
}

export interface Answer {
  /** Parsed JSON: an object with the member that was expected. Null: done before, it seems by a try of this call. */
  readonly body: unknown;
  readonly headers: Headers;
  /** Where it is more than 1, an earlier try may have been carried out. */
  readonly tries: number;
}

/**
 * Sends a request until it is answered or there is no more sense in it. Rejects with a `TriggersError`, or with the reason
 * of the caller's signal.
 */
export interface Call {
  (request: Request): Promise<Answer>;
  /** The deadline of a call that begins now. */
  readonly deadline: () => number;
}

/** The service answers within 2 s of the last byte of a request. */
const ENOUGH_FOR_A_TRY_MS = 5_000;

export function createCall(settings: Settings, world: World): Call {
  const { timeoutMs } = settings;
  // A reply that never comes must leave time for the other tries.
  const tryMs = Math.max(timeoutMs / (settings.maxRetries + 1), ENOUGH_FOR_A_TRY_MS);

  const newDeadline = (): number => world.now() + timeoutMs;

  const call = async (request: Request): Promise<Answer> => {
    const { heldMs = 0, deadline = newDeadline() + heldMs, maxRetries = settings.maxRetries } = request;
    for (let tries = 1; ; tries++) {
      const left = Math.min(tryMs + heldMs, deadline - world.now());
      const { reply, failure, headers } = await tryOnce(settings, world, request, left);
      if (reply !== undefined && request.unfinished?.(reply.body) !== true) return { ...reply, tries };
      if (tries > 1 && headers && failure && failure.status === request.doneBefore)
        return { body: null, headers, tries };
      const wait = waitMs(tries, headers, world.random);
      if (failure?.retryable === false || tries > maxRetries || world.now() + wait >= deadline) {
        if (failure === undefined) return { ...reply, tries };
        throw failure;
      }
      if (failure !== undefined) request.onRetry?.(failure, tries);
      await sleep(world, wait, request.signal);
    }
  };
  return Object.assign(call, { deadline: newDeadline });
}

type Outcome =
  | { readonly reply: Omit<Answer, 'tries'>; readonly failure?: never; readonly headers: Headers }
  | { readonly reply?: never; readonly failure: TriggersError; readonly headers?: Headers };

/** Rejects with the reason of the caller's signal, and with nothing else. */
async function tryOnce(settings: Settings, world: World, request: Request, ms: number): Promise<Outcome> {
  const { signal } = request;
  signal?.throwIfAborted();
  const attempt = new AbortController();
  let late = false as boolean;
  const stopTimer = world.after(ms, () => {
    late = true;
    attempt.abort();
  });
  const abort = (): void => {
    attempt.abort();
  };
  // Not `AbortSignal.any`: signals of callers live as long as their process, and would collect what depends on them.
  signal?.addEventListener('abort', abort);
  try {
    const response = await send(settings, request, attempt.signal);
    return readReply(request, response, await response.text());
  } catch (cause) {
    signal?.throwIfAborted();
    return { failure: late ? timedOut(ms, cause) : noConnection(cause) };
  } finally {
    stopTimer();
    signal?.removeEventListener('abort', abort);
  }
}

function send(settings: Settings, request: Request, signal: AbortSignal): Promise<Response> {
  // Called as a function of its own: a browser's `fetch` refuses to be somebody's method.
  const { fetch, baseUrl, apiKey } = settings;
  const { method, path, body, headers } = request;
  return fetch(baseUrl + path, {
    method,
    headers: {
      'x-api-key': apiKey,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body === undefined ? {} : { body }),
    signal,
    // Followed, a redirect would carry the key to another host, and turn a POST into a GET.
    redirect: 'manual',
    credentials: 'omit',
  });
}

function readReply({ success }: Request, response: Response, text: string): Outcome {
  const { status, headers } = response;
  const body = parseObject(text);
  if (response.ok) {
    if (success.statuses.includes(status) && body?.[success.member] !== undefined)
      return { reply: { body, headers }, headers };
    // Cut short on its way, perhaps.
    return { failure: unexpected(response, true), headers };
  }
  return { failure: refused(response, body?.['error']) ?? unexpected(response, isPassing(status)), headers };
}

/** An error as the service writes it; undefined for anything else. */
function refused({ status, headers }: Response, error: unknown): TriggersError | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, message, details, request_id: requestId } = error as Record<string, unknown>;
  if (typeof code !== 'string' || typeof message !== 'string') return undefined;
  return new TriggersError(message, {
    code,
    status,
    requestId: typeof requestId === 'string' ? requestId : headers.get('x-request-id'),
    retryable: isPassing(status),
    details: Array.isArray(details) ? (details as FieldError[]) : null,
  });
}

function unexpected({ status, headers, type }: Response, retryable: boolean): TriggersError {
  const isRedirect = type === 'opaqueredirect' || (status >= 300 && status < 400);
  return new TriggersError(
    isRedirect
      ? 'the reply is a redirect; baseUrl must name the service itself'
      : `the reply, with status ${String(status)}, is not one of this API`,
    { code: 'UNEXPECTED_RESPONSE', status, requestId: headers.get('x-request-id'), retryable },
  );
}

function noConnection(cause: unknown): TriggersError {
  const reason = deepestMessage(cause);
  return new TriggersError(`the service cannot be reached${reason === '' ? '' : `: ${reason}`}`, {
    code: 'NETWORK_ERROR',
    status: null,
    requestId: null,
    retryable: true,
    cause,
  });
}

function timedOut(ms: number, cause: unknown): TriggersError {
  return new TriggersError(`there was no reply within ${String(Math.round(ms))} ms`, {
    code: 'TIMEOUT',
    status: null,
    requestId: null,
    retryable: true,
    cause,
  });
}

/** Node's `fetch` says "fetch failed", and what failed only in the cause. */
function deepestMessage(error: unknown): string {
  if (!(error instanceof Error)) return '';
  return deepestMessage(error.cause) || error.message;
}

/** Whether the same request may be answered in another way later. */
function isPassing(status: number): boolean {
  return status === 429 || (status >= 500 && status <= 504);
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

async function sleep(world: World, ms: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve) => {
    const done = (): void => {
      stopTimer();
      signal?.removeEventListener('abort', done);
      resolve();
    };
    // A timer that is set any later would run at once.
    const stopTimer = world.after(Math.min(ms, 2 ** 31 - 1), done);
    signal?.addEventListener('abort', done);
  });
  signal?.throwIfAborted();
}
