import { spawn } from 'node:child_process';
import { keysCommand } from '../../src/cli/keys-command.ts';
import type { Json } from './app.ts';

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

type Run = (env: Record<string, string>, ...args: string[]) => Promise<CliResult>;

/** Runs the command in this process, which is quick, and possible when no server in this process uses the folder. */
export const runKeys: Run = async (env, ...args) => {
  let stdout = '';
  let stderr = '';
  const code = await keysCommand(args, {
    env: { AWS_ACCESS_KEY_ID: 'test', AWS_SECRET_ACCESS_KEY: 'test', ...env },
    stdout: (text) => (stdout += text),
    stderr: (text) => (stderr += text),
  });
  return { code, stdout, stderr };
};

/** Runs `triggers-api keys` in a process of its own, as users do beside a running server. */
export const spawnKeys: Run = (env, ...args) => {
  const child = spawn(
    process.execPath,
    ['--import=./.ci/typescript.mjs', 'src/cli/triggers-api.ts', 'keys', ...args],
    {
      env: { ...process.env, NODE_ENV: '', NODE_NO_WARNINGS: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  return new Promise((resolve) => {
    child.on('close', (code) => {
      resolve({ code, stdout, stderr });
    });
  });
};

/** The output of a command with `--json`; rejects unless it succeeds. */
export async function keysJson(run: Run, env: Record<string, string>, ...args: string[]): Promise<Json> {
  const { code, stdout, stderr } = await run(env, ...args, '--json');
  if (code !== 0) throw new Error(`keys ${args.join(' ')} ended with ${String(code)}: ${stderr}`);
  return JSON.parse(stdout) as Json;
}

/** Creates a key with the command, and gives the key and its id. */
export async function createKey(
  run: Run,
  env: Record<string, string>,
  ...options: string[]
): Promise<{ key: string; keyId: string }> {
  const made = await keysJson(run, env, 'create', '--name', 'made by a test', ...options);
  return { key: made['key'] as string, keyId: made['key_id'] as string };
}
