import type { Check, Row } from './results.ts';
import { median, passed } from './results.ts';

const COLUMNS = ['suite', 'store', 'what', 'p50', 'p95', 'p99', 'max', 'per s', 'errors', 'target', 'pass'];

/** The cells of a row, as in every table: times in ms, medians of the rounds; `max` is the worst of all. */
export function cells(row: Row): string[] {
  const max = Math.max(...row.rounds.map(({ latency }) => latency.max));
  const errors = row.rounds.reduce((sum, round) => sum + round.errors, 0);
  return [
    row.suite,
    row.store,
    row.what,
    ...(['p50', 'p95', 'p99'] as const).map((quantile) => milliseconds(median(row, quantile))),
    milliseconds(max),
    rate(median(row, 'perSecond')),
    String(errors),
    row.checks.map(describeCheck).join('; '),
    row.checks.length === 0 && errors === 0 ? '' : passed(row) ? 'yes' : 'NO',
  ];
}

/** One table of all rows, aligned for a terminal. */
export function textTable(rows: readonly Row[]): string {
  const lines = [COLUMNS, ...rows.map(cells)];
  const widths = COLUMNS.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  const numeric = (column: number): boolean => column >= 3 && column <= 8;
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell[numeric(column) ? 'padStart' : 'padEnd'](widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** The same in Markdown. */
export function markdownTable(rows: readonly Row[], columns: readonly string[] = COLUMNS): string {
  const wanted = columns.map((column) => COLUMNS.indexOf(column));
  const line = (of: readonly string[]) => `| ${wanted.map((column) => of[column] ?? '').join(' | ')} |`;
  const rule = `| ${wanted.map((column) => (column >= 3 && column <= 8 ? '---:' : '---')).join(' | ')} |`;
  return [line(COLUMNS), rule, ...rows.map((row) => line(cells(row)))].join('\n');
}

function describeCheck({ target, found, pass }: Check): string {
  // A time stands in its own column; a ratio nowhere else.
  return target.startsWith('>=') || !pass ? `${target}: ${found}` : target;
}

function milliseconds(ms: number): string {
  return ms.toFixed(ms < 10 ? 2 : 1);
}

function rate(perSecond: number): string {
  return perSecond.toFixed(perSecond < 10 ? 1 : 0);
}
