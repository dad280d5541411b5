// After a whole `npm test`: fails when fewer lines of src/ were run than this.
import { readFileSync } from 'node:fs';

const REQUIRED = 90;

const summary = /** @type {{ total: { lines: { pct: number } } }} */ (
  JSON.parse(readFileSync('.tap/report/coverage-summary.json', 'utf8'))
);
const { pct } = summary.total.lines;
console.log(`line coverage of src/: ${String(pct)}% (required: ${String(REQUIRED)}%)`);
if (pct < REQUIRED) process.exitCode = 1;
