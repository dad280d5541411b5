import { spawn } from 'node:child_process';
import type { Json } from './app.ts';

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the command behind `npm run keys` in a process of its own. */
export function runKeys(env: Record<string, string>, ...args: string[]): Promise<CliResult> {
  const child = spawn(process.execPath, ['--import=./.ci/typescript.mjs', 'src/cli/keys.ts', ...args], {
    env: { ...process.env, NODE_ENV: '', NODE_NO_WARNINGS: '1', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  return new Promise((resolve) => {
    child.on('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

/** As `runKeys` with `--json`; rejects unless the command succeeds. */
export async function keysJson(env: Record<string, string>, ...args: string[]): Promise<Json> {
  const { code, stdout, stderr } = await runKeys(env, ...args, '--json');
  if (code !== 0) throw new Error(`keys ${args.join(' ')} ended with ${String(code)}: ${stderr}`);
  return JSON.parse(stdout) as Json;
}

/** Makes a key with the command and gives it, and its id. */
export async function createKey(
  env: Record<string, string>,
  ...options: string[]
): Promise<{ key: string; keyId: string }> {
  const made = await keysJson(env, 'create', '--name', 'made by a test', ...options);
  return { key: made['key'] as string, keyId: made['key_id'] as string };
}
