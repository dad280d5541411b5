import { statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readStoreConfig } from '../config.ts';
import type { Environment } from '../environment.ts';
import { storeFileIn } from '../store/embedded/folder.ts';
import { openSnapshot } from '../store/embedded/snapshot.ts';
import { verify } from '../store/embedded/verify.ts';
import type { Finding, Verdict } from '../store/embedded/verify.ts';
import type { Command, Surroundings } from './command.ts';

const USAGE = `Usage: triggers-api verify [--data-dir DIR | FILE]

Reads every record of the embedded store (DATA_DIR unless named here), or of a backup FILE, and says what is damaged. It
changes nothing, and may run beside the service: it sees the store as of one moment.

  --data-dir DIR   the folder of a store
  --json           a line of JSON for each finding, and one for the whole at the end
  --help           print this

Exit status: 0 all is sound, 1 something is damaged, 2 it could not be read, or this was not understood.
`;

const [SOUND, DAMAGED, NOT_READ] = [0, 1, 2] as const;
/** Time between two lines of progress; a store that takes less has none. */
const PROGRESS_MS = 5_000;

/** `triggers-api verify` without the process around it, which `verify-command.ts` is. */
export const verifyStore: Command = async (args, surroundings) => {
  try {
    const order = parse(args);
    if (order !== 'help') return await check(order, surroundings);
    surroundings.stdout(USAGE);
    return SOUND;
  } catch (error) {
    surroundings.stderr(`verify: ${error instanceof Error ? error.message : String(error)}\n`);
    return NOT_READ;
  }
};

interface Order {
  readonly dataDir: string | undefined;
  readonly file: string | undefined;
  readonly json: boolean;
}

function parse(args: readonly string[]): Order | 'help' {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      'data-dir': { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return 'help';
  const [file, ...more] = positionals;
  const dataDir = values['data-dir'];
  if (more.length > 0 || (file !== undefined && dataDir !== undefined)) {
    throw new Error('this command takes one FILE or one --data-dir DIR');
  }
  return { dataDir, file, json: values.json };
}

async function check({ dataDir, file, json }: Order, { env, stdout, stderr }: Surroundings): Promise<number> {
  const path = fileOf(dataDir, file, env);
  const begun = performance.now();
  const snapshot = openSnapshot(path);
  try {
    const total = Object.values(snapshot.counts).reduce((sum, count) => sum + count, 0);
    let told = begun;
    const verdict = verify(snapshot, {
      onFinding: (finding) => {
        stdout(json ? `${JSON.stringify(finding)}\n` : line(finding));
      },
      onEntry: (read) => {
        // Looking at the clock for each entry would cost as much as a checksum.
        if (read % 1024 !== 0 || performance.now() - told < PROGRESS_MS) return;
        told = performance.now();
        stderr(`verify: ${String(read)} of ${String(total)} entries\n`);
      },
    });
    stdout(json ? `${JSON.stringify({ file: path, ...verdict })}\n` : summary(path, verdict));
    return verdict.findings === 0 ? SOUND : DAMAGED;
  } finally {
    await snapshot.close();
  }
}

function fileOf(dataDir: string | undefined, file: string | undefined, env: Environment): string {
  if (file !== undefined) {
    const path = resolve(file);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) throw new Error(`there is no file ${path}`);
    if (found.isDirectory()) throw new Error(`${path} is a folder: use --data-dir ${path}`);
    // Also where it is the file of a folder that a server uses.
    return basename(path) === 'store.mdb' ? storeFileIn(dirname(path)) : path;
  }
  if (dataDir !== undefined) return storeFileIn(dataDir);
  const config = readStoreConfig(env);
  if (config.store !== 'embedded') throw new Error('this command is for the embedded store only');
  return storeFileIn(config.dataDir);
}

function line({ table, key, what, problem, effect }: Finding): string {
  return `${key === '' ? table : `${table} ${key}`}: ${what}: ${problem}. Effect: ${effect}.\n`;
}

function summary(path: string, { entries, pending, findings }: Verdict): string {
  const counts = Object.entries(entries).map(([table, count]) => `${table} ${String(count)}`);
  const verdict =
    findings === 0
      ? 'all is sound'
      : `${String(findings)} ${findings === 1 ? 'thing is' : 'things are'} damaged`;
  return `${path}: ${verdict}. Entries: ${counts.join(', ')}; pending events: ${String(pending)}.\n`;
}
