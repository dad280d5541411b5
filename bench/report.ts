/**
 * `npm run bench:report`: docs/performance.md and its plots, from what `npm run bench` has measured
 * (bench/results/latest.json) and, where they have been run, from `npm run bench:memory` and `npm run bench:profile`. What was
 * learned on the way stands in bench/lessons.md.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { flameGraph } from './flame.ts';
import type { Call } from './harness/profiles.ts';
import { flatten, readCpu } from './harness/profiles.ts';
import type { MemoryResults } from './memory.ts';
import { describeGrowth, growthOf } from './memory.ts';
import type { Plot } from './plots.ts';
import { backlogPlot, clientsPlot, latencyPlot, memoryPlot } from './plots.ts';
import type { Results } from './results.ts';
import { passed } from './results.ts';
import { SUITES } from './suites.ts';
import { markdownTable } from './table.ts';

const RESULTS = 'bench/results/latest.json';
const MEMORY = 'bench/results/memory.json';
const PROFILE = 'bench/results/create-v1.cpuprofile';
const EMULATOR_PROFILE = 'bench/results/create-v1-emulator.cpuprofile';
const FOLDER = 'docs/performance';
/** The costliest, in a table of a profile. */
const FUNCTIONS = 15;

if (!existsSync(RESULTS)) {
  console.error(`There is no ${RESULTS}: run npm run bench first`);
  process.exit(1);
}
const results = JSON.parse(readFileSync(RESULTS, 'utf8')) as Results;
const memory = existsSync(MEMORY) ? (JSON.parse(readFileSync(MEMORY, 'utf8')) as MemoryResults) : null;
mkdirSync(FOLDER, { recursive: true });
copyFileSync(RESULTS, `${FOLDER}/results.json`);
const text = [
  heading(results),
  ...SUITES.map(({ name, about }) => suiteSection(results, name, about)),
  memory ? memorySection(memory) : '',
  existsSync(PROFILE) ? profileSection() : '',
  existsSync(EMULATOR_PROFILE) ? emulatorSection() : '',
  readFileSync('bench/lessons.md', 'utf8'),
].join('\n\n');
const style = { ...(await resolveConfig('docs/performance.md')), parser: 'markdown' };
writeFileSync('docs/performance.md', await format(text, style));
console.log(`wrote docs/performance.md and ${FOLDER}/`);

function heading({ machine, node, commit, startedAt, finishedAt, pinned, seconds, rows }: Results): string {
  const missed = rows.filter((row) => !passed(row));
  const minutes = Math.round((Date.parse(finishedAt) - Date.parse(startedAt)) / 60_000);
  const withChecks = rows.filter(({ checks }) => checks.length > 0).length;
  const rounds = Math.max(...rows.map((row) => row.rounds.length));
  return `# Performance

Written by \`npm run bench:report\` from one run of \`npm run bench\` (${String(minutes)} minutes); all its rounds are in
[results.json](performance/results.json). How it measures, and why so:
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

function suiteSection({ rows }: Results, name: string, about: string): string {
  const shown = rows.filter(({ suite }) => suite === name);
  if (shown.length === 0) return '';
  const parts = [`## ${name}`, `${about.charAt(0).toUpperCase()}${about.slice(1)}.`, markdownTable(shown)];
  if (name === 'ingest') parts.push(rawRates(shown));
  if (name === 'mixed')
    parts.push(
      ...storesOf(rows).map((store) =>
        picture(`latency-${store}`, 'Response times by percentile', latencyPlot(store), rows),
      ),
    );
  if (name === 'clients')
    parts.push(picture('clients', 'Events a second against clients', clientsPlot, rows));
  if (name === 'backlog')
    parts.push(picture('backlog', 'p95 of a page against events pending', backlogPlot, rows));
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

function cores(...busy: readonly (number | null)[]): string {
  const known = busy.filter((each) => each !== null).map((each) => each.toFixed(2));
  return known.length === 0 ? '?' : known.join(' + ');
}

function memorySection({ samples, load, commit, startedAt }: MemoryResults): string {
  const minutes = samples.at(-1)?.minute ?? 0;
  return `## Memory

${String(minutes)} minutes of ${load.perSecond.toFixed(0)} requests a second, half of them created and half deleted events (\`npm run bench:memory\`,
${startedAt.slice(0, 10)}, commit ${commit}). Resident memory in the last fifth of the time against the second: ${describeGrowth(growthOf(samples))}. It goes up
and down with the garbage collector.

${picture('memory', 'Memory over time', () => memoryPlot(samples), [])}`;
}

/** Where the time of `npm run bench:profile` went. */
function profileSection(): string {
  const root = readCpu(readFileSync(PROFILE, 'utf8'));
  writeFileSync(
    `${FOLDER}/flame.svg`,
    `${flameGraph(root, 'POST /v1/events at saturation: time of the main thread')}\n`,
  );
  return `## Where the time goes

The service's main thread while it takes events as fast as it can (\`npm run bench:profile\`, which also says what is
allocated, with \`--allocations\`). Native functions are named by V8 as best it can: what is written as a caller of \`reply\`'s callback is
uWebSockets' \`cork\`, which sends; the nameless ones are lmdb-js.

![Flame graph](performance/flame.svg)

${costliest(root)}`;
}

/** What `npm run bench:profile -- --store dynamodb --of emulator` found. */
function emulatorSection(): string {
  return `### In dynalite

Its main thread meanwhile, when the events go there (\`npm run bench:profile -- --store dynamodb --of emulator\`):

${costliest(readCpu(readFileSync(EMULATOR_PROFILE, 'utf8')))}`;
}

function costliest(root: Call): string {
  const lines = flatten(root)
    .slice(0, FUNCTIONS)
    .map(({ name, self, total }) => `| \`${name}\` | ${percent(self)} | ${percent(total)} |`);
  return ['| function | self | with callees |', '| --- | ---: | ---: |', ...lines].join('\n');
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

function picture(name: string, alt: string, plot: Plot, rows: Results['rows']): string {
  const svg = plot(rows);
  if (svg === null) return '';
  writeFileSync(`${FOLDER}/${name}.svg`, `${svg}\n`);
  return `![${alt}](performance/${name}.svg)`;
}
