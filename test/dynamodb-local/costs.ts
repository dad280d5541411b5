import { readFileSync } from 'node:fs';
import t from 'tap';
import { buildService } from '../../bench/harness/service.ts';
import { costTable, measureCosts } from '../../bench/studies/costs.ts';
import { localEndpoint } from '../support/dynamodb.ts';

/** Cells of each row of a Markdown table, by the first of them. */
function rowsOf(text: string): Map<string, readonly string[]> {
  const rows = text.split('\n').filter((line) => line.startsWith('| '));
  return new Map(
    rows.map((line) => {
      const cells = line.split('|').map((cell) => cell.trim());
      return [cells[1] ?? '', cells];
    }),
  );
}

void t.test('the costs in docs/deployment.md are those that are measured', async (t) => {
  buildService();
  const documented = rowsOf(readFileSync('docs/deployment.md', 'utf8'));
  const measured = rowsOf(costTable(await measureCosts(localEndpoint(), 50, [200, 16_000])));
  for (const bytes of ['payload, bytes', '200', '16,000']) {
    t.same(documented.get(bytes), measured.get(bytes), bytes);
  }
});
