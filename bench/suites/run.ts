import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { oneOf, positive, UsageError } from '../harness/arguments.ts';
import { describeMachine, introduction } from '../harness/machine.ts';
import { remoteService } from '../harness/remote.ts';
import { buildService, startEmulator, startService } from '../harness/service.ts';
import { verifyService } from '../harness/verify.ts';
import { formatRecord } from '../report/record.ts';
import type { Results, Row } from '../report/results.ts';
import { passed } from '../report/results.ts';
import { textTable } from '../report/table.ts';
import type { Setting } from './setting.ts';
import type { Suite } from './suite.ts';
import { SUITES } from './suites.ts';

const STORES = ['embedded', 'dynamodb'] as const;

/**
 * Runs suites by name, all of them without one.
 *
 * @returns 1 when a target is missed or a reply is wrong, 0 otherwise.
 * @throws UsageError
 */
export async function runSuites(args: string[]): Promise<number> {
  const wanted = readArguments(args);
  const startedAt = new Date().toISOString();
  console.error(introduction());
  if (wanted.url === undefined) buildService();
  const rows: Row[] = [];
  for (const store of wanted.stores) rows.push(...(await runStore(store, wanted)));

  const results: Results = {
    ...describeMachine(),
    startedAt,
    finishedAt: new Date().toISOString(),
    seconds: wanted.seconds,
    rows,
  };
  mkdirSync(dirname(wanted.out), { recursive: true });
  writeFileSync(wanted.out, formatRecord({ run: results, profiles: [] }));
  console.log(wanted.json ? JSON.stringify(results) : textTable(rows));
  return conclude(rows);
}

interface Wanted {
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
      store: { type: 'string' },
      url: { type: 'string' },
      key: { type: 'string' },
      seconds: { type: 'string' },
      rounds: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false },
      out: { type: 'string', default: 'bench/results/latest.jsonl' },
    },
  });
  const suites = positionals.map((name) => {
    const suite = SUITES.find((candidate) => candidate.name === name);
    if (suite === undefined) throw new UsageError(`there is no suite or command ${name}`);
    return suite;
  });
  const { store, url, key, smoke } = values;
  if ((url === undefined) !== (key === undefined)) throw new UsageError('--url and --key go together');
  const stores = store === undefined ? STORES : [oneOf('store', STORES, store)];
  return {
    ...values,
    url,
    key,
    stores: url === undefined ? stores : ['remote'],
    suites: suites.length === 0 ? SUITES : suites,
    seconds: positive('seconds', values.seconds ?? (smoke ? '1' : '5')),
    rounds: positive('rounds', values.rounds ?? (smoke ? '1' : '3')),
  };
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
