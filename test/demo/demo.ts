import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startApp } from '../../src/app.ts';
import { readConfig } from '../../src/config.ts';

const USAGE = `npm run demo [-- --url URL --key KEY]

Sends real GitHub webhooks (every payload of @octokit/webhooks-examples) as events, reads the inbox page by page,
checks that each payload came back byte for byte, acknowledges all, and ends with an empty inbox.

  --url URL   a running service (default: starts one of its own on a free port and a temporary folder)
  --key KEY   an API key whose inbox is empty (default: ${LOCAL_KEY})`;

const SENDERS = 16;
const PAGE = 100;

export interface DemoOptions {
  readonly url: string;
  readonly key: string;
  /** Takes each state of the progress line. */
  readonly progress: (line: string) => void;
}

export interface DemoResult {
  readonly sent: number;
  /** Of payload, as JSON text. */
  readonly bytes: number;
  readonly pages: number;
  readonly identical: number;
  readonly acknowledged: number;
  readonly left: number;
  readonly seconds: { readonly send: number; readonly read: number; readonly acknowledge: number };
}

interface Webhook {
  readonly event: string;
  /** JSON text. */
  readonly payload: string;
}

/** Runs the demo against a service. Rejects on any answer that is not as it should be. */
export async function runDemo({ url, key, progress }: DemoOptions): Promise<DemoResult> {
  const call = async (method: string, path: string, body?: string): Promise<string> => {
    const response = await fetch(url + path, {
      method,
      headers: { 'x-api-key': key, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${String(response.status)}: ${text}`);
    return text;
  };
  if (eventsOf(await call('GET', '/v1/inbox?limit=1')).length > 0) {
    throw new Error('the inbox of this key is not empty; give the demo a key of its own (--key)');
  }

  const webhooks = loadWebhooks();
  const sent = new Map<string, Webhook>();
  const sendSeconds = await timed(() =>
    inParallel(webhooks, async (webhook) => {
      const event = JSON.stringify({ source: 'github', event_type: webhook.event });
      const body = `${event.slice(0, -1)},"payload":${webhook.payload}}`;
      const { event_id: id } = JSON.parse(await call('POST', '/v1/events', body)) as { event_id: string };
      sent.set(id, webhook);
      progress(`sent ${String(sent.size)} of ${String(webhooks.length)}`);
    }),
  );

  const identical = new Set<string>();
  let pages = 0;
  const readSeconds = await timed(async () => {
    // On DynamoDB an event may appear in the inbox shortly after its 201: walk again for the last ones, for 10 s.
    for (const end = Date.now() + 10_000; identical.size < sent.size && Date.now() < end;) {
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: string = await call(
          'GET',
          `/v1/inbox?limit=${String(PAGE)}${cursor && `&cursor=${cursor}`}`,
        );
        pages++;
        checkPage(page, sent, identical);
        progress(`read ${String(identical.size)} of ${String(sent.size)}`);
        cursor = nextCursor(page);
      }
    }
  });

  let acknowledged = 0;
  const acknowledgeSeconds = await timed(() =>
    inParallel([...identical], async (id) => {
      await call('POST', `/v1/events/${id}/ack`);
      progress(`acknowledged ${String(++acknowledged)} of ${String(sent.size)}`);
    }),
  );
  return {
    sent: sent.size,
    bytes: webhooks.reduce((sum, { payload }) => sum + Buffer.byteLength(payload), 0),
    pages,
    identical: identical.size,
    acknowledged,
    left: eventsOf(await call('GET', '/v1/inbox')).length,
    seconds: { send: sendSeconds, read: readSeconds, acknowledge: acknowledgeSeconds },
  };
}

/** Every payload that GitHub's own collection has, for github.com and the Enterprise Server versions. */
function loadWebhooks(): Webhook[] {
  const folder = dirname(createRequire(import.meta.url).resolve('@octokit/webhooks-examples/package.json'));
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('index.json'))
    .flatMap((file) => {
      const kinds = JSON.parse(readFileSync(join(folder, file), 'utf8')) as {
        name: string;
        examples: object[];
      }[];
      return kinds.flatMap(({ name, examples }) =>
        examples.map((example) => ({ event: name, payload: JSON.stringify(example) })),
      );
    });
}

/** Adds to `identical` what the page holds exactly as it was sent; throws for anything else. */
function checkPage(page: string, sent: ReadonlyMap<string, Webhook>, identical: Set<string>): void {
  for (const id of eventsOf(page)) {
    const webhook = sent.get(id);
    if (!webhook) throw new Error(`event ${id} is in the inbox and was never sent`);
    const text =
      `{"event_id":"${id}","source":"github","event_type":${JSON.stringify(webhook.event)},` +
      `"payload":${webhook.payload},"metadata":null,`;
    if (!page.includes(text)) throw new Error(`event ${id} did not come back as it was sent`);
    identical.add(id);
  }
}

interface Page {
  readonly events: readonly { readonly event_id: string }[];
  readonly pagination: { readonly next_cursor: string | null };
}

function eventsOf(page: string): string[] {
  return (JSON.parse(page) as Page).events.map((event) => event.event_id);
}

function nextCursor(page: string): string | null {
  return (JSON.parse(page) as Page).pagination.next_cursor;
}

async function inParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: SENDERS }, async () => {
      for (const item of queue) await run(item);
    }),
  );
}

async function timed(run: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await run();
  return (performance.now() - start) / 1000;
}

function table(result: DemoResult): string {
  const { seconds } = result;
  const rows: [string, string, string][] = [
    [
      'sent',
      `${String(result.sent)} events, ${(result.bytes / 1e6).toFixed(1)} MB`,
      `${seconds.send.toFixed(2)} s`,
    ],
    ['read', `${String(result.pages)} pages of ${String(PAGE)}`, `${seconds.read.toFixed(2)} s`],
    ['identical', `${String(result.identical)} payloads, byte for byte`, ''],
    ['acknowledged', `${String(result.acknowledged)} events`, `${seconds.acknowledge.toFixed(2)} s`],
    ['left in the inbox', `${String(result.left)} events`, ''],
  ];
  return rows.map(([what, how, time]) => `  ${what.padEnd(18)}${how.padEnd(34)}${time}`.trimEnd()).join('\n');
}

/** Starts a service of the demo's own; gives its address and how to end it. */
async function ownService(): Promise<{ url: string; stop: () => Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'triggers-demo-'));
  const config = readConfig({ PORT: '0', DATA_DIR: folder, SHUTDOWN_GRACE_SECONDS: '0' });
  const app = await startApp(config, pino({ level: 'silent' }), (error) => {
    throw error;
  });
  return {
    url: app.url,
    async stop() {
      await app.close();
      rmSync(folder, { recursive: true });
    },
  };
}

function showProgress(line: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K  ${line}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { url: { type: 'string' }, key: { type: 'string' }, help: { type: 'boolean' } },
  });
  if (values.help) {
    console.log(USAGE);
    return;
  }
  const own = values.url === undefined ? await ownService() : undefined;
  const url = values.url ?? own?.url ?? '';
  console.log(`Real GitHub webhooks through ${url}${own ? ', started for this demo' : ''}`);
  try {
    const result = await runDemo({ url, key: values.key ?? LOCAL_KEY, progress: showProgress });
    showProgress('');
    console.log(table(result));
    if (result.identical !== result.sent || result.left > 0) process.exitCode = 1;
  } finally {
    await own?.stop();
  }
}

if (process.argv[1]?.endsWith('demo.ts')) {
  await main().catch((error: unknown) => {
    console.error(`\n${error instanceof Error ? error.message : String(error)}`);
    process.exitCode = 1;
  });
}
