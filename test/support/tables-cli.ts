import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Runs `triggers-api tables ...`, and gives its exit code and what it prints. */
export async function runTables(args: readonly string[], env: Readonly<Record<string, string>>) {
  const child = spawn(
    process.execPath,
    ['--import=./.ci/typescript.mjs', 'src/cli/triggers-api.ts', 'tables', ...args],
    { env: { ...process.env, ...env } },
  );
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}
