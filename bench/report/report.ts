/**
 * `npm run bench -- report [FILE ...]`: docs/performance.md and its plots, from docs/performance/results.jsonl and nothing else. Files
 * that `npm run bench`, `npm run bench -- memory` and `npm run bench -- profile` have written to bench/results/ are taken into
 * it first, each in the place of what it had of that kind. What was learned on the way stands in lessons.md.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { format, resolveConfig } from 'prettier';
import { UsageError } from '../harness/arguments.ts';
import { SUITES } from '../suites/suites.ts';
import { flameGraph } from './flame.ts';
import type { MemoryResults } from './memory.ts';
import { describeGrowth, growthOf } from './memory.ts';
import type { Plot } from './plots.ts';
import { backlogPlot, clientsPlot, latencyPlot, memoryPlot } from './plots.ts';
import type { ProfileResults } from './profiles.ts';
import type { Record } from './record.ts';
import { formatRecord, merged, parseRecord } from './record.ts';
import type { Results } from './results.ts';
import { passed } from './results.ts';
import { markdownTable } from './table.ts';

const PAGE = 'docs/performance.md';
const FOLDER = 'docs/performance';
export const RECORD = `${FOLDER}/results.jsonl`;

export async function report(args: string[]): Promise<number> {
  const { positionals } = parseArgs({ args, allowPositionals: true, options: {} });
  let record: Record = existsSync(RECORD) ? parseRecord(readFileSync(RECORD, 'utf8')) : { profiles: [] };
  for (const file of positionals) {
    if (!existsSync(file)) throw new UsageError(`there is no file ${file}`);
    record = merged(record, parseRecord(readFileSync(file, 'utf8')));
  }
  const { page, pictures } = await compose(record);
  mkdirSync(FOLDER, { recursive: true });
  writeFileSync(RECORD, formatRecord(record));
  for (const [name, svg] of pictures) writeFileSync(`${FOLDER}/${name}`, svg);
  writeFileSync(PAGE, page);
  console.log(`wrote ${PAGE} and ${FOLDER}/`);
  return 0;
}

export interface Report {
  /** Of docs/performance.md. */
  readonly page: string;
  /** SVG by the name of its file in docs/performance/. */
  readonly pictures: ReadonlyMap<string, string>;
}

/** @throws Error when the record has no run. */
export async function compose({ run, memory, profiles }: Record): Promise<Report> {
  if (run === undefined)
    throw new Error(`${RECORD} has no run: npm run bench, then npm run bench -- report FILE`);
  const pictures = new Map<string, string>();
  const profileOf = (of: ProfileResults['of']) => profiles.find((profile) => profile.of === of);
  const [service, emulator] = [profileOf('service'), profileOf('emulator')];
  const text = [
    heading(run),
    ...SUITES.map(({ name, about }) => suiteSection(run, name, about, pictures)),
    memory ? memorySection(memory, pictures) : '',
    service ? profileSection(service, pictures) : '',
    emulator ? emulatorSection(emulator) : '',
    readFileSync(new URL('lessons.md', import.meta.url), 'utf8'),
  ].join('\n\n');
  const style = { ...(await resolveConfig(PAGE)), parser: 'markdown' };
  return { page: await format(text, style), pictures };
}

function heading({ machine, node, commit, startedAt, finishedAt, pinned, seconds, rows }: Results): string {
  const missed = rows.filter((row) => !passed(row));
  const minutes = Math.round((Date.parse(finishedAt) - Date.parse(startedAt)) / 60_000);
  const withChecks = rows.filter(({ checks }) => checks.length > 0).length;
  const rounds = Math.max(...rows.map((row) => row.rounds.length));
  return `# Performance

Written by \`npm run bench -- report\` from one run of \`npm run bench\` (${String(minutes)} minutes); all its rounds are in
[results.jsonl](performance/results.jsonl). How it measures, and why so:
[decision 030](decisions/030-how-speed-is-measured.md).

- Machine: ${machine}; Node ${node}${pinned ? '; on the embedded store the server has one core and the load the other' : ''}
- Date: ${startedAt.slice(0, 10)}, commit ${commit}
- Times in ms: medians of ${String(rounds)} rounds of ${String(seconds)} s; \`max\` is the slowest response of all rounds
- Targets kept: ${String(withChecks - missed.length)} of ${String(withChecks)} rows that have one${
    missed.length === 0
      ? ''
      : `; missed: ${missed.map(({ suite, store, what }) => `${suite}, ${store} (${what})`).join('; ')}`
  }`;
}

type Pictures = Map<string, string>;

function suiteSection({ rows }: Results, name: string, about: string, pictures: Pictures): string {
  const shown = rows.filter(({ suite }) => suite === name);
  if (shown.length === 0) return '';
  const parts = [`## ${name}`, `${about.charAt(0).toUpperCase()}${about.slice(1)}.`, markdownTable(shown)];
  if (name === 'ingest') parts.push(rawRates(shown));
  if (name === 'tenants') parts.push(costOfEvents(shown));
  if (name === 'mixed')
    parts.push(
      ...storesOf(rows).map((store) =>
        picture(`latency-${store}`, 'Response times by percentile', latencyPlot(store), rows, pictures),
      ),
    );
  if (name === 'clients')
    parts.push(picture('clients', 'Events a second against clients', clientsPlot, rows, pictures));
  if (name === 'backlog')
    parts.push(picture('backlog', 'p95 of a page against events pending', backlogPlot, rows, pictures));
  return parts.join('\n\n');
}

function storesOf(rows: Results['rows']): string[] {
  return [...new Set(rows.map(({ store }) => store))];
}

/** Of each round, with how busy the server was: a yardstick that did not use its core would measure the load. */
function rawRates(rows: Results['rows']): string {
  const lines = rows.map(({ what, store, rounds }) => {
    const each = rounds.map(
      ({ perSecond, serverCores, storeCores }) =>
        `${perSecond.toFixed(0)} (${cores(serverCores, storeCores)})`,
    );
    return `- ${what}, ${store}: ${each.join(', ')}`;
  });
  return `Events a second in each round, and in brackets the cores that the server kept busy, and where it runs here too the DynamoDB behind it:\n\n${lines.join('\n')}`;
}

/** Of each round. */
function costOfEvents(rows: Results['rows']): string {
  const an = (whole: number | null, events: number) => (whole === null ? '?' : (whole / events).toFixed(0));
  const lines = rows.map(({ what, rounds }) => {
    const each = rounds.map(({ perSecond, requests, serverCores, writtenBytes }) => {
      const cpu = an(serverCores && serverCores * 1e6, perSecond);
      return `${perSecond.toFixed(0)} (${cpu} µs, ${an(writtenBytes, requests)} B)`;
    });
    return `- ${what}: ${each.join(', ')}`;
  });
  return `Events a second in each round, and in brackets the CPU time and the bytes written to disk for each:\n\n${lines.join('\n')}`;
}

function cores(...busy: readonly (number | null)[]): string {
  const known = busy.filter((each) => each !== null).map((each) => each.toFixed(2));
  return known.length === 0 ? '?' : known.join(' + ');
}

function memorySection({ samples, perSecond, commit, startedAt }: MemoryResults, pictures: Pictures): string {
  const minutes = samples.at(-1)?.minute ?? 0;
  return `## Memory

${String(minutes)} minutes of ${perSecond.toFixed(0)} requests a second, half of them created and half deleted events (\`npm run bench -- memory\`,
${startedAt.slice(0, 10)}, commit ${commit}). Resident memory in the last fifth of the time against the second: ${describeGrowth(growthOf(samples))}. It goes up
and down with the garbage collector.

${picture('memory', 'Memory over time', () => memoryPlot(samples), [], pictures)}`;
}

function profileSection({ functions, boxes }: ProfileResults, pictures: Pictures): string {
  const title = 'POST /v1/events at saturation: time of the main thread';
  return `## Where the time goes

The service's main thread while it takes events as fast as it can (\`npm run bench -- profile\`, which also says what is
allocated, with \`--allocations\`). Native functions are named by V8 as best it can: what is written as a caller of \`reply\`'s callback is
uWebSockets' \`cork\`, which sends; the nameless ones are lmdb-js.

${picture('flame', 'Flame graph', () => flameGraph(boxes, title), [], pictures)}

${costliest(functions)}`;
}

function emulatorSection({ functions }: ProfileResults): string {
  return `### In dynalite

Its main thread meanwhile, when the events go there (\`npm run bench -- profile --store dynamodb --of emulator\`):

${costliest(functions)}`;
}

function costliest(functions: ProfileResults['functions']): string {
  const lines = functions.map(
    ([name, self, withCallees]) => `| \`${name}\` | ${percent(self)} | ${percent(withCallees)} |`,
  );
  return ['| function | self | with callees |', '| --- | ---: | ---: |', ...lines].join('\n');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function picture(name: string, alt: string, plot: Plot, rows: Results['rows'], pictures: Pictures): string {
  const svg = plot(rows);
  if (svg === null) return '';
  pictures.set(`${name}.svg`, `${svg}\n`);
  return `![${alt}](performance/${name}.svg)`;
}
