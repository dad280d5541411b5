import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Command } from './command.ts';

/** The command that the process below runs. */
export const VERIFY_STORE = 'verify-store';

const NOT_READ = 2;

/**
 * `triggers-api verify`. The file is read in a process of its own: LMDB trusts the pages of its file, and damaged ones may end the
 * process that reads them with SIGSEGV or SIGBUS.
 */
export const verifyCommand: Command = async (args, { env, stdout, stderr }) => {
  const [program = ''] = process.argv.slice(1);
  const child = spawn(process.execPath, [...process.execArgv, program, VERIFY_STORE, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.setEncoding('utf8').on('data', stdout);
  child.stderr.setEncoding('utf8').on('data', stderr);
  const pass = (signal: NodeJS.Signals): void => {
    child.kill(signal);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, pass);
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  for (const name of ['SIGTERM', 'SIGINT'] as const) process.off(name, pass);
  if (code !== null) return code;
  const reason =
    signal === 'SIGSEGV' || signal === 'SIGBUS' || signal === 'SIGABRT'
      ? `reading the file ended the process (${signal}): pages of it are damaged. Restore a backup; docs/operations.md, "Backup and restore"`
      : `ended by ${String(signal)}`;
  stderr(`verify: ${reason}\n`);
  return NOT_READ;
};
