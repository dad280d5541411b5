import * as echarts from 'echarts';
import type { EChartsOption, LineSeriesOption } from 'echarts';
import type { Sample } from './memory.ts';
import type { Row } from './results.ts';
import { AUTOCANNON, IDLE, median } from './results.ts';

/** SVG text of a plot, or null where the results lack what it shows. */
export type Plot = (rows: readonly Row[]) => string | null;

const WIDTH = 880;
const HEIGHT = 440;
const LEGEND = 235;

/** Okabe and Ito's colours, which stay apart for every kind of colour vision, and one more, whose line is dashed. */
const COLOURS = [
  ...['#0072B2', '#D55E00', '#009E73', '#CC79A7', '#E69F00', '#56B4E9', '#555555', '#000000'],
  '#6A3D9A',
];
const SOLID = 8;

/** Suites of which the latency plot shows a curve each. */
const CURVES = ['health', 'create-v1', 'create', 'inbox', 'walk', 'mixed'];

/** Response time at each percentile: a curve for each measure of a suite, of the median round by p95. */
export function latencyPlot(store: string): Plot {
  return (rows) => {
    const shown = rows.filter(({ store: on, suite, what }) => {
      const isAside = what.startsWith(IDLE) || what.endsWith(AUTOCANNON);
      return on === store && CURVES.includes(suite) && !isAside;
    });
    if (shown.length === 0) return null;
    const series = shown.map(({ suite, what, rounds }): LineSeriesOption => {
      const typical = rounds.toSorted((a, b) => a.latency.p95 - b.latency.p95)[Math.floor(rounds.length / 2)];
      return {
        ...LINE,
        name: suite === 'walk' || suite === 'mixed' ? suite : what,
        data: typical?.latency.curve.map(([percentile, ms]) => [nines(percentile), ms]) ?? [],
      };
    });
    return render(`Response times, ${store}`, series, {
      xAxis: {
        ...AXIS,
        type: 'value',
        name: 'percentile',
        min: 0,
        max: 4,
        interval: 1,
        axisLabel: { ...TEXT, formatter: (value: number) => TICKS[Math.round(value)] ?? '' },
      },
      yAxis: { ...AXIS, type: 'log', name: 'ms' },
    });
  };
}

/** Rate and p95 against the number of clients. */
export const clientsPlot: Plot = (rows) => {
  const shown = alongAxis(rows, ['clients', 'ingest']);
  if (shown.length === 0) return null;
  const series = storesOf(shown).map((store): LineSeriesOption => ({
    ...LINE,
    name: store,
    data: shown.filter((row) => row.store === store).map((row) => [row.at, median(row, 'perSecond')]),
  }));
  return render('POST /v1/events: events a second against clients', series, {
    xAxis: { ...AXIS, type: 'log', logBase: 4, name: 'clients', min: 1, max: 256 },
    yAxis: { ...AXIS, type: 'value', name: 'events/s', min: 0 },
  });
};

/** p95 of a page against events pending. */
export const backlogPlot: Plot = (rows) => {
  const shown = alongAxis(rows, ['backlog', 'inbox']);
  if (shown.length === 0) return null;
  const names = [...new Set(shown.map(nameOf))];
  const series = names.map((name): LineSeriesOption => ({
    ...LINE,
    name,
    data: shown.filter((row) => nameOf(row) === name).map((row) => [row.at, median(row, 'p95')]),
  }));
  return render('Inbox pages of 50 events: p95 against events pending', series, {
    xAxis: {
      ...AXIS,
      type: 'log',
      name: 'pending',
      min: 1_000,
      max: 1_000_000,
      axisLabel: { ...TEXT, formatter: thousands },
    },
    yAxis: { ...AXIS, type: 'log', name: 'ms' },
  });
};

/** Memory of the service over a long run. */
export function memoryPlot(samples: readonly Sample[]): string {
  const series = (['resident', 'anonymous'] as const).map((name): LineSeriesOption => ({
    ...LINE,
    symbolSize: 0,
    name,
    data: samples.map((sample) => [sample.minute, sample[name]]),
  }));
  return render('Memory at saturation', series, {
    xAxis: { ...AXIS, type: 'value', name: 'minutes' },
    yAxis: { ...AXIS, type: 'value', name: 'MiB', min: 0 },
  });
}

/** What some suites have measured at places of one axis, in their order on it. */
function alongAxis(rows: readonly Row[], suites: readonly string[]) {
  return rows
    .filter(({ suite }) => suites.includes(suite))
    .flatMap((row) => (row.at === undefined ? [] : [{ ...row, at: row.at }]))
    .sort((a, b) => a.at - b.at);
}

function nameOf({ store, what }: Row): string {
  return `${what.replace(/,.*/, '')}, ${store}`;
}

function storesOf(rows: readonly Row[]): string[] {
  return [...new Set(rows.map(({ store }) => store))];
}

/** 90 is one, 99 two, 99.9 three: the tail gets as much room as the rest. */
function nines(percentile: number): number {
  return -Math.log10(1 - percentile / 100);
}

const TICKS = ['fastest', '90', '99', '99.9', '99.99'];

function thousands(value: number): string {
  return value.toLocaleString('en-US');
}

const TEXT = { color: '#333333', fontSize: 13 };
const LINE = { type: 'line', symbolSize: 6, lineStyle: { width: 2 }, animation: false } as const;
const AXIS = {
  nameLocation: 'middle',
  nameGap: 34,
  nameTextStyle: TEXT,
  axisLabel: TEXT,
  axisLine: { lineStyle: { color: '#666666' } },
  splitLine: { lineStyle: { color: '#e2e2e2' } },
} as const;

function render(
  title: string,
  series: LineSeriesOption[],
  axes: Pick<EChartsOption, 'xAxis' | 'yAxis'>,
): string {
  if (series.length > COLOURS.length) throw new Error(`${title}: more curves than colours`);
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height: HEIGHT });
  chart.setOption({
    ...axes,
    backgroundColor: '#ffffff',
    color: COLOURS,
    title: { text: title, left: 'center', top: 8, textStyle: { fontSize: 16, color: '#111111' } },
    // From its left: without a browser, echarts takes text to be narrower than it is.
    legend: { orient: 'vertical', left: WIDTH - LEGEND, top: 'middle', textStyle: TEXT },
    grid: { left: 70, right: LEGEND + 20, top: 48, bottom: 56 },
    series: series.map((one, index) =>
      index < SOLID ? one : { ...one, lineStyle: { ...one.lineStyle, type: 'dashed' } },
    ),
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}
