import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Test } from 'tap';

const run = promisify(execFile);

// Without what npm tells the scripts that it runs, which names this repository, and without tap's coverage of children.
export const userEnv = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name))),
  NODE_OPTIONS: '',
};

/**
 * A folder of somebody who uses the client: nothing but the installed tarball. Outside of this repository, whose packages
 * would otherwise be found. It is removed with the test.
 */
export async function installClient(t: Pick<Test, 'teardown'>): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'triggers-api-client-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  const { stdout } = await run(process.execPath, ['.ci/pack-client.mjs', folder], { env: userEnv });
  writeFileSync(join(folder, 'package.json'), '{}');
  await run('npm', ['install', '--offline', '--no-audit', '--no-fund', `./${stdout.trim()}`], {
    cwd: folder,
    env: userEnv,
  });
  return folder;
}

/** Compiles files in a user's folder with this repository's TypeScript. Rejects with what the compiler says. */
export async function compile(
  folder: string,
  files: readonly string[],
  compilerOptions: object,
): Promise<void> {
  const options = { strict: true, target: 'es2022', types: [], ...compilerOptions };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files }));
  const tsc = resolve('node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', folder], { env: userEnv }).catch((error: unknown) => {
    throw new Error((error as { stdout: string }).stdout);
  });
}
