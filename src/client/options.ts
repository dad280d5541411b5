export interface TriggersOptions {
  /** Where the service is, without `/v1`: `https://triggers.example.com`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** For a whole call, with all of its tries and the waits between them. 30,000 by default. */
  readonly timeoutMs?: number | undefined;
  /** How often a failed request is sent again. 4 by default, which makes 5 tries. */
  readonly maxRetries?: number | undefined;
  /** Instead of the global `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined;
}

export interface CallOptions {
  /** Ends the call, which then rejects with the reason of the signal. The request may have been carried out. */
  readonly signal?: AbortSignal | undefined;
}

export interface SendOptions extends CallOptions {
  /**
   * The same event sent again with the same key is stored once: 1-255 characters of printable ASCII. Give one that comes
   * from your data (`order-7-paid`) where your own process may send an event twice. Without one each call makes its own.
   */
  readonly idempotencyKey?: string | undefined;
}

/** With everything filled in. */
export interface Settings {
  /** Without a slash at its end. */
  readonly baseUrl: string;
  readonly apiKey: string;
  readonly timeoutMs: number;
  readonly maxRetries: number;
  readonly fetch: typeof globalThis.fetch;
}

/** Throws a `TypeError` for options that could not work: `fetch` would fail with them again and again. */
export function readOptions(options: TriggersOptions): Settings {
  const { baseUrl, apiKey, timeoutMs = 30_000, maxRetries = 4, fetch = globalThis.fetch } = options;
  if (!/^[!-~]+$/.test(apiKey)) throw new TypeError('apiKey must be a key of this API: printable ASCII');
  if (!(timeoutMs > 0 && timeoutMs < 2 ** 31)) {
    throw new TypeError('timeoutMs must be more than 0 and less than 2 ** 31');
  }
  if (!Number.isInteger(maxRetries) || maxRetries < 0) {
    throw new TypeError('maxRetries must be a whole number from 0');
  }
  if (typeof fetch !== 'function')
    throw new TypeError('there is no global fetch here; give one as an option');
  return { baseUrl: readUrl(baseUrl), apiKey, timeoutMs, maxRetries, fetch };
}

function readUrl(baseUrl: string): string {
  const url = URL.canParse(baseUrl) ? new URL(baseUrl) : undefined;
  if (
    !url ||
    !/^https?:$/.test(url.protocol) ||
    url.username !== '' ||
    url.password !== '' ||
    /[?#]/.test(baseUrl)
  ) {
    throw new TypeError(
      'baseUrl must be an http:// or https:// URL without user, query and fragment, like https://triggers.example.com',
    );
  }
  return url.href.replace(/\/+$/, '');
}
