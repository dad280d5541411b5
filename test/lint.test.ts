import { ESLint } from 'eslint';
import t from 'tap';

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

void t.test('arrows that are bent', async (t) => {
  const bent: [from: string, to: string][] = [
    ['src/events/ingest.ts', '../http/errors.ts'],
    ['src/events/ingest.ts', '../store/embedded/store.ts'],
    ['src/access/local.ts', '../http/errors.ts'],
    ['src/access/local.ts', '../events/ingest.ts'],
    ['src/http/dispatch.ts', '../store/embedded/store.ts'],
    ['src/http/dispatch.ts', '../app.ts'],
    ['src/http/server.ts', './v1/contract.ts'],
    ['src/http/server.ts', './unversioned/contract.ts'],
    ['src/http/v1/wire.ts', '../../store/embedded/store.ts'],
    ['src/http/v1/wire.ts', '../unversioned/contract.ts'],
    ['src/store/errors.ts', './embedded/store.ts'],
    ['src/store/embedded/store.ts', '../../http/errors.ts'],
    ['src/store/embedded/store.ts', '../../config.ts'],
  ];
  for (const [from, to] of bent) {
    t.same(
      await refusedBy(from, `export * from '${to}';\n`),
      ['boundaries/dependencies'],
      `${from} -> ${to}`,
    );
  }
  t.same(await refusedBy('src/http/dispatch.ts', "export * from '../store/errors.ts';\n"), []);
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
