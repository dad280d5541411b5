import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readStoreConfig } from '../config.ts';
import { openEmbeddedStore } from '../store/embedded/embedded-store.ts';
import type { Environment } from '../environment.ts';
import { command, UsageError } from './command.ts';

const USAGE = `Usage: triggers-api backup FILE

Copies the embedded store (DATA_DIR) to FILE, as it is at one moment, while the service runs or not. FILE is complete
and synced, or not there: it is written under another name first. To restore it, put it into a new folder as store.mdb.

  --compact   leave out what is free in the store's file, which takes longer
  --force     replace FILE if there is one
  --help      print this

Exit status: 0 done, 1 failed, 2 not understood.
`;

/** `triggers-api backup`. */
export const backupCommand = command('backup', async (args, { env }) => {
  const order = parse(args);
  return order === 'help' ? USAGE : backUp(order, env);
});

interface Order {
  readonly file: string;
  readonly force: boolean;
  readonly compact: boolean;
}

function parse(args: readonly string[]): Order | 'help' {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        force: { type: 'boolean', default: false },
        compact: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    });
    if (values.help) return 'help';
    const [file, ...more] = positionals;
    if (file === undefined || file === '' || more.length > 0)
      throw new UsageError('this command takes one FILE');
    return { file: resolve(file), force: values.force, compact: values.compact };
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

/** Resolves with what to print. */
async function backUp({ file, force, compact }: Order, env: Environment): Promise<string> {
  const config = readStoreConfig(env);
  if (config.store !== 'embedded')
    throw new Error('this command is for the embedded store only; see docs/dynamodb.md');
  if (existsSync(file) && !force) throw new Error(`${file} is there already; --force replaces it`);
  // lmdb-js would create the folder.
  if (!existsSync(dirname(file))) throw new Error(`there is no folder ${dirname(file)}`);
  const draft = `${file}.draft`;
  const umask = process.umask(0o077);
  try {
    // LMDB refuses to write to a file that exists.
    rmSync(draft, { force: true });
    await copyStore(config.dataDir, draft, compact);
    sync(draft);
    const { size } = statSync(draft);
    renameSync(draft, file);
    sync(dirname(file));
    return `${file}: ${String(size)} bytes\n`;
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  } finally {
    process.umask(umask);
  }
}

async function copyStore(path: string, file: string, compact: boolean): Promise<void> {
  const quiet = () => undefined;
  const store = await openEmbeddedStore({
    path,
    now: () => Date.now() * 1000,
    eventTtl: Number.MAX_SAFE_INTEGER,
    log: { info: quiet, warn: quiet, error: quiet },
    onFatal: quiet,
    exclusive: false,
    create: false,
  });
  try {
    await store.backUp(file, compact);
  } finally {
    await store.close();
  }
}

function sync(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
