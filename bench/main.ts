/** `npm run bench`: whether the service keeps its targets, and how it compares. `npm run bench -- --help` says more. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { loadavg } from 'node:os';
import { remoteService } from './harness/remote.ts';
import { startEmulator, startService } from './harness/service.ts';
import type { Results, Row } from './results.ts';
import { describeMachine, passed } from './results.ts';
import type { Setting } from './setting.ts';
import type { Suite } from './suites.ts';
import { SUITES } from './suites.ts';
import { textTable } from './table.ts';
import { verifyService } from './verify.ts';

const STORES = ['embedded', 'dynamodb'] as const;

const HELP = `Usage: npm run bench [-- options] [suite ...]

Measures the service, built and started afresh for each suite, and ends with 1 if a target is missed or a reply is wrong.
Targets: README.md. How it measures: docs/decisions/030-how-speed-is-measured.md.

Suites (default: all):
${SUITES.map(({ name, about }) => `  ${name.padEnd(12)} ${about}`).join('\n')}

  --store NAME    embedded or dynamodb (default: both). DynamoDB is a dynalite started here, or DYNAMODB_ENDPOINT_URL
  --url URL       a deployed service instead, with
  --key KEY       an API key whose inbox is empty; what is sent is deleted at the end
  --seconds N     of a round (default 5)
  --rounds N      (default 3; tables show medians)
  --smoke         a second each and no targets: whether it all still works
  --json          results as JSON on stdout instead of a table
  --out FILE      results as JSON (default bench/results/latest.json)`;

process.exitCode = await main(process.argv.slice(2));

/** @returns the exit code: 0 all well, 1 a target missed or a wrong reply, 2 not called as it should be. */
async function main(args: string[]): Promise<number> {
  let wanted: Wanted;
  try {
    wanted = readArguments(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n\n${HELP}`);
    return 2;
  }
  if (wanted.help) {
    console.log(HELP);
    return 0;
  }
  const startedAt = new Date().toISOString();
  const machine = describeMachine();
  console.error(`${startedAt}, commit ${machine.commit}, Node ${machine.node}, ${machine.machine}`);
  console.error(
    `load before: ${loadavg()[0]?.toFixed(2) ?? ''}; other work on the machine makes all of this worse`,
  );
  const rows: Row[] = [];
  for (const store of wanted.stores) rows.push(...(await runStore(store, wanted)));

  const results: Results = {
    ...machine,
    startedAt,
    finishedAt: new Date().toISOString(),
    seconds: wanted.seconds,
    rows,
  };
  mkdirSync(dirname(wanted.out), { recursive: true });
  writeFileSync(wanted.out, `${JSON.stringify(results, null, 1)}\n`);
  console.log(wanted.json ? JSON.stringify(results) : textTable(rows));
  return conclude(rows);
}

interface Wanted {
  readonly help: boolean;
  readonly stores: readonly Setting['store'][];
  readonly suites: readonly Suite[];
  readonly url: string | undefined;
  readonly key: string | undefined;
  readonly seconds: number;
  readonly rounds: number;
  readonly smoke: boolean;
  readonly json: boolean;
  readonly out: string;
}

function readArguments(args: string[]): Wanted {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      store: { type: 'string' },
      url: { type: 'string' },
      key: { type: 'string' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      out: { type: 'string', default: 'bench/results/latest.json' },
    },
  });
  const suites = positionals.map((name) => {
    const suite = SUITES.find((candidate) => candidate.name === name);
    if (suite === undefined) throw new Error(`there is no suite ${name}`);
    return suite;
  });
  const { store, url, key, smoke } = values;
  if ((url === undefined) !== (key === undefined)) throw new Error('--url and --key go together');
  const known = STORES.filter((name) => store === undefined || name === store);
  if (known.length === 0) throw new Error(`--store takes ${STORES.join(' or ')}, not ${String(store)}`);
  return {
    ...values,
    url,
    key,
    stores: url === undefined ? known : ['remote'],
    suites: suites.length === 0 ? SUITES : suites,
    seconds: positive('--seconds', values.seconds ?? (smoke ? '1' : '5')),
    rounds: positive('--rounds', values.rounds ?? (smoke ? '1' : '3')),
  };
}

function positive(name: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new Error(`${name} takes a number above 0, not ${text}`);
  return number;
}

async function runStore(store: Setting['store'], wanted: Wanted): Promise<Row[]> {
  const rows: Row[] = [];
  for (const suite of wanted.suites.filter(({ on }) => on.includes(store))) {
    // A fresh one each time: it keeps all that it ever took in memory, and grows slower with it.
    const emulator = store === 'dynamodb' ? await startEmulator() : null;
    const storeLabel = emulator?.name ?? store;
    const progress = (line: string): void => {
      console.error(`  ${storeLabel} / ${suite.name}${line === '' ? '' : `: ${line}`}`);
    };
    try {
      const found = await suite.run({
        store,
        storeLabel,
        dynamodb: emulator,
        rounds: wanted.rounds,
        times: { seconds: wanted.seconds, warmUpSeconds: wanted.smoke ? 0.5 : 1.5 },
        withTargets: !wanted.smoke,
        mostPending: wanted.smoke ? 100 : Infinity,
        progress,
        async start(options) {
          const service = await (store === 'remote'
            ? remoteService(wanted.url ?? '', wanted.key ?? '')
            : startService(emulator, options));
          try {
            await verifyService(service);
          } catch (error) {
            await service.stop();
            throw error;
          }
          return service;
        },
      });
      rows.push(...found);
    } finally {
      await emulator?.stop();
    }
  }
  return rows;
}

function conclude(rows: readonly Row[]): number {
  const failed = rows.filter((row) => !passed(row));
  for (const { suite, store, what, rounds, checks } of failed) {
    const missed = checks.filter(({ pass }) => !pass).map(({ target, found }) => `${target}: ${found}`);
    const problem = rounds.find(({ firstError }) => firstError !== null)?.firstError;
    const wrong = problem === undefined ? [] : [`first wrong reply: ${String(problem)}`];
    console.error(`FAILED ${store} / ${suite}, ${what}: ${[...missed, ...wrong].join('; ') || 'no replies'}`);
  }
  return failed.length === 0 ? 0 : 1;
}
