import { readFileSync } from 'node:fs';
import t from 'tap';
import { createRecorder } from '../../bench/harness/histogram.ts';
import type { Measurement } from '../../bench/load/job.ts';
import { growthOf } from '../../bench/report/memory.ts';
import { backlogPlot, clientsPlot, latencyPlot } from '../../bench/report/plots.ts';
import { flatten, readCpu } from '../../bench/report/profiles.ts';
import { formatRecord, merged, parseRecord } from '../../bench/report/record.ts';
import { compose, RECORD } from '../../bench/report/report.ts';
import type { Row } from '../../bench/report/results.ts';
import { checkLatency, checkRatio, median, passed } from '../../bench/report/results.ts';

const text = readFileSync(RECORD, 'utf8');
const recorded = parseRecord(text);

void t.test('the record: a line a round under 100 KB, of which nothing is lost when it is read', (t) => {
  t.ok(Buffer.byteLength(text) < 100_000, `${String(Buffer.byteLength(text))} bytes`);
  const lines = text.trimEnd().split('\n');
  const kinds = lines.map((line) => (JSON.parse(line) as { kind: string }).kind);
  t.equal(kinds[0], 'run', 'the setting comes first');
  t.match(recorded.run, { machine: /./, node: /^v/, commit: /^[0-9a-f]+$/, seconds: Number });
  const rows = recorded.run?.rows ?? [];
  const rounds = rows.reduce((sum, row) => sum + row.rounds.length, 0);
  t.equal(kinds.filter((kind) => kind === 'round').length, rounds);
  t.ok(rounds > 100, String(rounds));
  t.equal(
    kinds.filter((kind) => kind === 'targets').length,
    rows.filter(({ checks }) => checks.length > 0).length,
  );
  t.equal(formatRecord(recorded), text);
  t.end();
});

void t.test('docs/performance.md and its plots are what the report makes of the record', async (t) => {
  const { page, pictures } = await compose(recorded);
  t.equal(page, readFileSync('docs/performance.md', 'utf8'));
  t.ok(pictures.size >= 4);
  for (const [name, svg] of pictures) {
    t.match(page, `(performance/${name})`);
    t.equal(unnumbered(svg), unnumbered(readFileSync(`docs/performance/${name}`, 'utf8')), name);
  }
});

/** echarts numbers the charts of a process, and the classes in all of them. */
function unnumbered(svg: string): string {
  return svg.replaceAll(/\bzr\d+-/g, 'zr-').replaceAll(/-cls-\d+/g, '-cls');
}

void t.test('results that are taken into the record replace those of their kind', (t) => {
  const { run, memory, profiles } = recorded;
  t.equal(profiles.length, 2);
  const newer = { ...run, commit: 'abc', rows: [] } as unknown as NonNullable<typeof run>;
  t.same(merged(recorded, { run: newer, profiles: [] }), { run: newer, memory, profiles });
  const emulator = profiles
    .filter(({ of }) => of === 'emulator')
    .map((profile) => ({ ...profile, commit: 'abc' }));
  const both = merged(recorded, { profiles: emulator });
  t.same(both.run, run);
  t.same(new Map(both.profiles.map(({ of, commit }) => [of, commit])).get('emulator'), 'abc');
  t.equal(both.profiles.length, 2);
  t.end();
});

void t.test('a round keeps what was wrong with it', (t) => {
  const wrong = { ...round(7, 3, 2), firstError: `answered 503: ${'x'.repeat(5_000)}`, serverCores: 0.5 };
  const row: Row = {
    suite: 's',
    store: 'embedded',
    what: 'w',
    rounds: [wrong, round(8, 4)],
    checks: [],
    at: 4,
  };
  const run = { ...recorded.run, rows: [row] } as NonNullable<typeof recorded.run>;
  const found = parseRecord(formatRecord({ run, profiles: [] })).run?.rows ?? [];
  t.match(found, [
    { at: 4, rounds: [{ errors: 2, firstError: /^answered 503/, serverCores: 0.5 }, { errors: 0 }] },
  ]);
  t.ok((found[0]?.rounds[0]?.firstError?.length ?? 0) <= 200, 'in short');
  t.same(found[0]?.rounds[1], row.rounds[1]);
  t.end();
});

void t.test('plots: every curve has a look of its own, and its name is within the picture', (t) => {
  const rows = recorded.run?.rows ?? [];
  const plots = [latencyPlot('embedded'), latencyPlot('dynalite'), clientsPlot, backlogPlot];
  for (const plot of plots) {
    const svg = plot(rows) ?? '';
    const curves = svg.match(/<path [^>]*fill="none"[^>]*stroke-linejoin="bevel"[^>]*>/g) ?? [];
    const colours = curves.map((curve) => /stroke="([^"]+)"/.exec(curve)?.[1]);
    t.equal(new Set(colours).size, curves.length);
    const texts = svg.matchAll(
      /<text [^>]*text-anchor="start"[^>]* x="(\d+)" [^>]*translate\((\d+) [^>]*>([^<]+)/g,
    );
    const names = [...texts].map(([, x, left, name = '']) => ({ name, from: Number(x) + Number(left) }));
    t.equal(names.length, curves.length);
    const width = Number(/width="(\d+)"/.exec(svg)?.[1]);
    // A character of 13 px is some 7.5 px wide.
    for (const { name, from } of names) t.ok(from + name.length * 7.5 <= width, name);
  }
  t.end();
});

/** A round in which every response took that long. */
function round(ms: number, perSecond: number, errors = 0): Measurement {
  const recorder = createRecorder();
  recorder.record(ms);
  const latency = recorder.summary();
  const unknown = { serverCores: null, storeCores: null, writtenBytes: null };
  return { requests: 1, errors, firstError: null, perSecond, latency, ...unknown };
}

void t.test('quantiles are those of single responses', (t) => {
  const recorder = createRecorder();
  for (let i = 1; i <= 1_000; i++) recorder.record(i / 10);
  const { p50, p95, p99, max } = recorder.summary();
  for (const [found, wanted] of [
    [p50, 50],
    [p95, 95],
    [p99, 99],
    [max, 100],
  ] as const) {
    t.ok(Math.abs(found / wanted - 1) < 0.002, `${String(found)} for ${String(wanted)}`);
  }
  t.end();
});

void t.test('targets are kept or missed by the median of the rounds', (t) => {
  const measured = { rounds: [round(5, 100), round(50, 300), round(6, 200)] };
  t.equal(median(measured, 'perSecond'), 200);
  t.match(checkLatency(measured, { quantile: 'p95', belowMs: 10 }), { target: 'p95 < 10 ms', pass: true });
  t.match(checkLatency(measured, { quantile: 'p95', belowMs: 6 }), { pass: false });
  const other = { rounds: [round(1, 400), round(1, 1_000), round(1, 100)] };
  t.match(checkRatio(measured, other, { to: 'floor', atLeast: 0.5 }), { found: '0.50 x', pass: true });
  t.match(checkRatio(measured, other, { to: 'floor', atLeast: 0.51 }), { pass: false });
  const row = { suite: 's', store: 'embedded', what: 'w', checks: [] } satisfies Partial<Row>;
  t.equal(passed({ ...row, ...measured }), true);
  t.equal(passed({ ...row, rounds: [round(1, 1, 1)] }), false, 'a wrong answer');
  t.equal(passed({ ...row, rounds: [{ ...round(1, 1), requests: 0 }] }), false, 'no answer');
  t.end();
});

void t.test('memory that leaks is told from memory that goes up and down', (t) => {
  const samples = (resident: (i: number) => number) =>
    Array.from({ length: 60 }, (_, i) => ({ minute: i, resident: resident(i), anonymous: 0 }));
  const { least } = growthOf(samples((i) => 100 + (i % 7)));
  t.equal(least, 1);
  const leak = growthOf(samples((i) => 100 + (i % 7) + i / 3));
  t.ok(leak.least > 1.05, String(leak.least));
  t.end();
});

void t.test('a profile is shared out to functions, without idle time', (t) => {
  const frame = (functionName: string) => ({ functionName, url: '', lineNumber: -1 });
  const profile = {
    nodes: [
      { id: 1, callFrame: frame('(root)'), children: [2, 3] },
      { id: 2, callFrame: frame('(idle)') },
      { id: 3, callFrame: frame('outer'), children: [4] },
      { id: 4, callFrame: frame('inner') },
    ],
    samples: [2, 3, 4, 4],
    timeDeltas: [100, 1, 2, 1],
  };
  t.match(flatten(readCpu(JSON.stringify(profile))), [
    { name: 'inner', self: 0.75, total: 0.75 },
    { name: 'outer', self: 0.25, total: 1 },
  ]);
  t.end();
});
