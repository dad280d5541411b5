import { execFile } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { LOCAL_KEY } from '../../../src/access/local.ts';
import { startTestApp } from '../../support/app.ts';
import { compile, installClient, userEnv } from '../../support/packed-client.ts';

const run = promisify(execFile);

/** What somebody writes who uses the client, with the types that it gives. */
const PROGRAM = `
import { Triggers, TriggersError, type InboxPage, type TriggersEvent } from 'triggers-api-client';

interface Order { order: number }

async function main(url: string, apiKey: string): Promise<void> {
  const triggers = new Triggers({ baseUrl: url, apiKey });
  const { eventId, replayed } = await triggers.events.send({ source: 's', eventType: 't', payload: { order: 7 } });
  const seen: TriggersEvent<Order>[] = [];
  for await (const event of triggers.inbox.list<Order>({ limit: 1 })) seen.push(event);
  const pages: InboxPage[] = [];
  for await (const page of triggers.inbox.list().pages()) pages.push(page);
  await triggers.events.ack(eventId);
  let code: string | undefined;
  try {
    await triggers.events.ack(eventId);
  } catch (error) {
    if (error instanceof TriggersError) code = error.code;
  }
  await triggers.events.delete(eventId);
  const { status } = await triggers.health();
  console.log(JSON.stringify({ replayed, order: seen[0]?.payload.order, pages: pages.length, code, status }));
}

declare const process: { argv: string[] };
declare const console: { log(text: string): void };
main(process.argv[2] ?? '', process.argv[3] ?? '');
`;

/** The Node of this test, and those that `.ci/install-tools` has brought. */
function runtimes(): string[] {
  const folder = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'triggers-api', 'runtimes');
  const installed = existsSync(folder)
    ? readdirSync(folder).map((name) => join(folder, name, 'bin', 'node'))
    : [];
  return [process.execPath, ...installed.filter((path) => existsSync(path))];
}

void t.test('the tarball alone: compiled and run as ES module and as CommonJS', async (t) => {
  const folder = await installClient(t);
  t.same(
    readdirSync(join(folder, 'node_modules')).filter((name) => !name.startsWith('.')),
    ['triggers-api-client'],
  );
  writeFileSync(join(folder, 'esm.mts'), PROGRAM);
  writeFileSync(join(folder, 'cjs.cts'), PROGRAM);
  const files = ['esm.mts', 'cjs.cts'];
  const node = { typeRoots: [resolve('node_modules/@types')], types: ['node'], lib: ['es2022'] };
  const onNode = (text: string) => text.replaceAll(/^declare const .*$/gm, '');
  await compile(folder, files, { module: 'nodenext', lib: ['es2022', 'dom'] });
  await compile(folder, files, { module: 'nodenext', exactOptionalPropertyTypes: true });

  const { url } = await startTestApp(t);
  const versions = new Set<string>();
  for (const program of runtimes()) {
    versions.add((await run(program, ['--version'], { env: userEnv })).stdout.trim());
    for (const file of ['esm.mjs', 'cjs.cjs']) {
      const { stdout, stderr } = await run(program, [join(folder, file), url, LOCAL_KEY], { env: userEnv });
      const expected = { replayed: false, order: 7, pages: 1, code: 'CONFLICT', status: 'healthy' };
      t.strictSame(JSON.parse(stdout), expected, `${program} ${file}`);
      t.equal(stderr, '');
    }
  }
  t.comment([...versions].sort().join(', '));

  writeFileSync(join(folder, 'node.mts'), onNode(PROGRAM));
  await compile(folder, ['node.mts'], { module: 'nodenext', noEmit: true, ...node });
  await compile(folder, ['node.mts'], {
    module: 'esnext',
    moduleResolution: 'bundler',
    noEmit: true,
    ...node,
  });
});

void t.test('types refuse what the service would', async (t) => {
  const folder = await installClient(t);
  const head = `import { Triggers } from 'triggers-api-client';\nconst { events } = new Triggers({ baseUrl: '', apiKey: '' });\n`;
  const wrong = [
    [`{ source: 's', payload: {} }`, /wrong.mts\(3,[^]*'eventType' is missing/],
    [`{ source: 's', eventType: 't', payload: 'text' }`, /wrong.mts\(4,.*not assignable to type 'object'/],
    [
      `{ source: 's', eventType: 't', payload: {}, metadata: { priority: 'urgent' } }`,
      /wrong.mts\(5,.*urgent/,
    ],
    [`{ source: 's', event_type: 't', payload: {} }`, /wrong.mts\(6,.*event_type/],
  ] as const;
  const lines = wrong.map(([event]) => `void events.send(${event});\n`);
  writeFileSync(join(folder, 'wrong.mts'), head + lines.join(''));
  const complaints = await compile(folder, ['wrong.mts'], { module: 'nodenext', noEmit: true }).then(
    () => '',
    String,
  );
  for (const [event, complaint] of wrong) t.match(complaints, complaint, event);
});
