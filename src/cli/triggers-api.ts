#!/usr/bin/env node
/** `triggers-api`, as package.json names it: starts the service, or runs one of the commands beside it. */
import { ConfigError, loadEnvFile } from '../environment.ts';
import { version } from '../version.ts';
import type { Command } from './command.ts';
import { VERIFY_STORE } from './verify-command.ts';

const USAGE = `Usage: triggers-api [COMMAND]

Without a command, the service starts and runs until SIGTERM or Ctrl-C. Environment variables configure it and the
commands, also from .env in the working folder.

  keys       make, list and change API keys
  tables     create the DynamoDB tables
  backup     copy the embedded store to a file
  verify     read the whole embedded store, and say what is damaged
  health     ask the service on this machine whether it is ready

  --help     print this, or what a command takes: triggers-api COMMAND --help
  --version  print the version
`;

/** Loaded only where they are run: what one needs, the others can do without. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  keys: async () => (await import('./keys-command.ts')).keysCommand,
  tables: async () => (await import('./tables-command.ts')).tablesCommand,
  backup: async () => (await import('./backup-command.ts')).backupCommand,
  verify: async () => (await import('./verify-command.ts')).verifyCommand,
  // Not for people: the process in which `verify` reads the file.
  [VERIFY_STORE]: async () => (await import('./verify-store.ts')).verifyStore,
  health: async () => (await import('./health-command.ts')).healthCommand,
};

/** What a shell reports for a program that SIGPIPE has ended. */
const READER_GONE = 141;

const [name, ...args] = process.argv.slice(2);
if (name === undefined) await import('../main.ts');
else process.exitCode = await run(name, args);

async function run(name: string, args: readonly string[]): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', endWithoutReader);
  if (name === '--help' || name === '-h') {
    process.stdout.write(USAGE);
    return 0;
  }
  if (name === '--version') {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  const load = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (load === undefined) {
    process.stderr.write(`triggers-api: there is no command ${JSON.stringify(name)}\n\n${USAGE}`);
    return 2;
  }
  try {
    loadEnvFile();
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${name}: ${error.message}\n`);
    return 1;
  }
  const command = await load();
  return command(args, {
    env: process.env,
    stdout: (text) => process.stdout.write(text),
    stderr: (text) => process.stderr.write(text),
  });
}

/** `triggers-api verify | head -1` has read enough, which is no defect. */
function endWithoutReader(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
  process.exit(READER_GONE);
}
