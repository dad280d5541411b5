import { existsSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import { ESLint } from 'eslint';
import t from 'tap';
import { house } from '../.ci/house.mjs';

const eslint = new ESLint();

/** The rules that refuse this code in place of an existing file. */
async function refusedBy(filePath: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath });
  return (result?.messages ?? []).map(({ ruleId, message }) => ruleId ?? message);
}

void t.test('a floating promise', async (t) => {
  const code = 'export async function f(): Promise<void> {\n  await Promise.resolve();\n}\nf();\n';
  t.same(await refusedBy('src/events/clock.ts', code), ['@typescript-eslint/no-floating-promises']);
});

/** A file of each element. */
const SAMPLES: Record<keyof typeof house, string> = {
  root: 'src/config.ts',
  cli: 'src/cli/keys-command.ts',
  client: 'src/client/client.ts',
  http: 'src/http/dispatch.ts',
  'http-v1': 'src/http/v1/contract.ts',
  'http-unversioned': 'src/http/unversioned/contract.ts',
  'http-site': 'src/http/site/contract.ts',
  'http-openapi': 'src/http/openapi/contract.ts',
  lambda: 'src/lambda/gateway-call.ts',
  events: 'src/events/ingest.ts',
  access: 'src/access/local.ts',
  metrics: 'src/metrics/families.ts',
  port: 'src/store/event-store.ts',
  stores: 'src/store/open-store.ts',
  embedded: 'src/store/embedded/embedded-store.ts',
  dynamodb: 'src/store/dynamodb/dynamo-store.ts',
  bench: 'bench/harness/service.ts',
  test: 'test/support/app.ts',
};

void t.test('every arrow that is not allowed is refused, and no other', async (t) => {
  const existing = Object.entries(SAMPLES).filter(([, path]) => existsSync(path));
  for (const [from, file] of existing) {
    const others = existing.filter(([, target]) => target !== file);
    const arrow = (target: string) => {
      const specifier = relative(dirname(file), target);
      return `export * from '${specifier.startsWith('.') ? specifier : `./${specifier}`}';\n`;
    };
    // One line for each arrow: linting takes its time by the file.
    const code = others.map(([, target]) => arrow(target)).join('');
    const [result] = await eslint.lintText(code, { filePath: file });
    const refused = (result?.messages ?? []).map(({ ruleId, line }) => [ruleId, others[line - 1]?.[0]]);
    const allowed: readonly string[] = house[from as keyof typeof house];
    const wanted = others
      .filter(([to]) => !allowed.includes(to))
      .map(([to]) => ['boundaries/dependencies', to]);
    t.same(refused, wanted, from);
  }
});

void t.test('the benchmark uses no test, and what is served uses neither', async (t) => {
  const toTest = "export * from '../test/support/app.ts';\n";
  const toBench = "export * from '../bench/suites/setting.ts';\n";
  t.same(await refusedBy('bench/main.ts', toTest), ['boundaries/dependencies']);
  t.same(await refusedBy('src/config.ts', toTest), ['boundaries/dependencies']);
  t.same(await refusedBy('src/config.ts', toBench), ['boundaries/dependencies']);
  t.same(await refusedBy('test/lint.ts', toBench), []);
});

void t.test('unused imports, TODO and FIXME', async (t) => {
  const unused = "import { join } from 'node:path';\nexport const a = 1;\n";
  t.same(await refusedBy('src/events/clock.ts', unused), ['@typescript-eslint/no-unused-vars']);
  // Put together, so that this file passes itself.
  for (const word of ['TO' + 'DO', 'FIX' + 'ME']) {
    t.same(await refusedBy('src/events/clock.ts', `// later: ${word} x\nexport const a = 1;\n`), [
      'no-warning-comments',
    ]);
  }
});

void t.test('functions over 75 lines and files over 750', async (t) => {
  const body = (lines: number): string => '  void 0;\n'.repeat(lines);
  const long = (lines: number): string => `export function f(): void {\n${body(lines - 2)}}\n`;
  t.same(await refusedBy('src/events/clock.ts', long(75)), []);
  t.same(await refusedBy('src/events/clock.ts', long(76)), ['max-lines-per-function']);
  t.same(await refusedBy('src/events/clock.ts', 'export {};\n'.repeat(751)), ['max-lines']);
});
