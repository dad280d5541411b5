import { PERCENTILES, summaryOf } from '../harness/histogram.ts';
import type { Measurement } from '../load/job.ts';
import type { MemoryResults } from './memory.ts';
import type { ProfileResults } from './profiles.ts';
import type { Check, Results, Row } from './results.ts';

/** What docs/performance.md is made from. */
export interface Record {
  readonly run?: Results;
  readonly memory?: MemoryResults;
  readonly profiles: readonly ProfileResults[];
}

/** Those of `newer` in the place of those of `older`. */
export function merged(older: Record, newer: Record): Record {
  const kept = older.profiles.filter(({ of }) => !newer.profiles.some((profile) => profile.of === of));
  return { ...older, ...newer, profiles: [...kept, ...newer.profiles] };
}

/** A JSON object a line: the setting, each round, and what became of targets; then memory and profiles. */
type Line =
  | ({ readonly kind: 'run' } & Omit<Results, 'rows'>)
  | ({ readonly kind: 'round' } & Place & Round)
  | ({ readonly kind: 'targets'; readonly checks: readonly Check[] } & Place)
  | ({
      readonly kind: 'memory';
      readonly minutes: number;
      readonly samples: readonly (readonly [resident: number, anonymous: number])[];
    } & Omit<MemoryResults, 'samples'>)
  | ({ readonly kind: 'profile' } & ProfileResults);

/** Which row a line belongs to. */
type Place = Pick<Row, 'suite' | 'store' | 'what' | 'at'>;

interface Round extends Pick<Measurement, 'requests' | 'errors' | 'perSecond'> {
  readonly firstError?: string;
  /** That the server and the DynamoDB behind it kept busy. */
  readonly cores: readonly [server: number | null, store: number | null];
  readonly writtenBytes?: number;
  /** At each of `PERCENTILES`, and the longest. */
  readonly ms: readonly number[];
}

/** Enough for every table and plot. */
const DIGITS = 6;

/** The text of a `.jsonl` file. */
export function formatRecord({ run, memory, profiles }: Record): string {
  const lines: Line[] = [];
  if (run) {
    const { rows, ...setting } = run;
    lines.push({ kind: 'run', ...setting }, ...rows.flatMap(linesOf));
  }
  if (memory) {
    const { samples, ...setting } = memory;
    lines.push({
      kind: 'memory',
      ...setting,
      perSecond: short(memory.perSecond),
      minutes: samples.at(-1)?.minute ?? 0,
      samples: samples.map(({ resident, anonymous }) => [short(resident), short(anonymous)]),
    });
  }
  for (const profile of profiles) lines.push({ kind: 'profile', ...profile });
  return lines.map((line) => `${JSON.stringify(line, compact)}\n`).join('');
}

/** Shares of a profile have fewer digits than a double. */
function compact(_: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? short(value) : value;
}

function linesOf({ suite, store, what, at, rounds, checks }: Row): Line[] {
  const place: Place = { suite, store, what, ...(at !== undefined && { at }) };
  const lines = rounds.map((round): Line => ({ kind: 'round', ...place, ...toRound(round) }));
  return checks.length === 0 ? lines : [...lines, { kind: 'targets', ...place, checks }];
}

function toRound(measurement: Measurement): Round {
  const { requests, errors, firstError, perSecond, latency } = measurement;
  const { serverCores, storeCores, writtenBytes } = measurement;
  return {
    requests,
    errors,
    ...(firstError !== null && { firstError: firstError.slice(0, 200) }),
    perSecond,
    cores: [serverCores, storeCores],
    ...(writtenBytes !== null && { writtenBytes }),
    ms: [...latency.curve.map(([, ms]) => ms), latency.max],
  };
}

function short(value: number): number {
  return Number(value.toPrecision(DIGITS));
}

/** @throws SyntaxError where a line is not JSON. */
export function parseRecord(text: string): Record {
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
  const run = lines.find((line) => line.kind === 'run');
  const memory = lines.find((line) => line.kind === 'memory');
  return {
    ...(run && { run: { ...run, rows: rowsOf(lines) } }),
    ...(memory && { memory: { ...memory, samples: samplesOf(memory) } }),
    profiles: lines.filter((line) => line.kind === 'profile'),
  };
}

function samplesOf({ minutes, samples }: Line & { readonly kind: 'memory' }): MemoryResults['samples'] {
  return samples.map(([resident, anonymous], index) => ({
    minute: ((index + 1) * minutes) / samples.length,
    resident,
    anonymous,
  }));
}

/** In the order in which their first lines lie. */
function rowsOf(lines: readonly Line[]): Row[] {
  const rows = new Map<string, Place & { rounds: Measurement[]; checks: readonly Check[] }>();
  for (const line of lines) {
    if (line.kind !== 'round' && line.kind !== 'targets') continue;
    const { suite, store, what, at } = line;
    const name = JSON.stringify([suite, store, what]);
    const row = rows.get(name) ?? {
      ...{ suite, store, what, rounds: [], checks: [] },
      ...(at !== undefined && { at }),
    };
    rows.set(name, row);
    if (line.kind === 'round') row.rounds.push(toMeasurement(line));
    else row.checks = line.checks;
  }
  return [...rows.values()];
}

function toMeasurement({
  requests,
  errors,
  firstError,
  perSecond,
  cores,
  writtenBytes,
  ms,
}: Round): Measurement {
  const [serverCores, storeCores] = cores;
  return {
    ...{ requests, errors, perSecond, serverCores, storeCores },
    firstError: firstError ?? null,
    writtenBytes: writtenBytes ?? null,
    latency: summaryOf((percentile) => ms[PERCENTILES.indexOf(percentile)] ?? NaN, ms.at(-1) ?? NaN),
  };
}
