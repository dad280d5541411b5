/** `npm run bench`: whether the service keeps its targets, and how it compares. `npm run bench -- help` says more. */
import { isUsageError } from './harness/arguments.ts';
import { runSuites } from './suites/run.ts';
import { SUITES } from './suites/suites.ts';

interface Command {
  readonly about: string;
  /** Loaded when it is called: most of them need packages that the others do not. */
  readonly load: () => Promise<(args: string[]) => number | Promise<number>>;
}

const COMMANDS: Readonly<Record<string, Command>> = {
  compare: {
    about:
      'ingest of several commits, which take turns: compare A B [--with NAME=VALUE] [--store S] [--rounds N] [--seconds N]',
    load: async () => (await import('./studies/compare.ts')).compare,
  },
  counters: {
    about: 'what a request costs in the metrics: our counters and those of prom-client',
    load: async () => (await import('./studies/counters.ts')).counters,
  },
  metrics: {
    about: 'what metrics cost ingest, switched on and off within one process: metrics [--seconds 60]',
    load: async () => (await import('./studies/metrics-cost.ts')).metricsCost,
  },
  report: {
    about:
      'docs/performance.md from docs/performance/results.jsonl; report FILE ... takes new results into it',
    load: async () => (await import('./report/report.ts')).report,
  },
  memory: {
    about: 'whether memory grows at saturation: memory [--minutes 10]',
    load: async () => (await import('./studies/memory.ts')).memory,
  },
  profile: {
    about:
      'where the time goes: profile [--traffic T] [--clients N] [--store S] [--of service] [--allocations]',
    load: async () => (await import('./studies/profile.ts')).profile,
  },
  sweep: {
    about: 'whether the embedded sweep keeps up with ingest: sweep [--seconds N] [--checkout PATH]',
    load: async () => (await import('./studies/sweep.ts')).sweep,
  },
  brownout: {
    about: 'what a brown-out of DynamoDB costs: brownout [--seconds N] [--rate N]',
    load: async () => (await import('./studies/brownout.ts')).brownout,
  },
  batching: {
    about: 'how well the group commit on DynamoDB fills its batches: batching [--events N]',
    load: async () => (await import('./studies/batching.ts')).batching,
  },
  inserts: {
    about: 'what events cost that are put in batches with a condition: inserts [--batches N] [--rounds N]',
    load: async () => (await import('./studies/inserts.ts')).inserts,
  },
  costs: {
    about: 'capacity units of DynamoDB for each call, and dollars for a million events: costs [--events N]',
    load: async () => (await import('./studies/costs.ts')).costs,
  },
  'lmdb-writes': {
    about: 'each way in which lmdb-js writes events: lmdb-writes [--seconds N] [--rounds N]',
    load: async () => (await import('./studies/lmdb-writes.ts')).lmdbWrites,
  },
  layouts: {
    about:
      'what an event costs in LMDB by the layout of the tables, 1 and 10,000 tenants: layouts [--events N] [--rounds N]',
    load: async () => (await import('./studies/layouts.ts')).layoutsStudy,
  },
  disk: {
    about: 'bytes on disk for each event of the embedded store, by size of payload: disk',
    load: async () => (await import('./studies/disk.ts')).disk,
  },
  worst: {
    about: 'searches for the request that costs most: worst [--seconds N] [--seed N]',
    load: async () => (await import('./studies/worst-request.ts')).worstRequest,
  },
  help: { about: 'this list', load: () => Promise.resolve(help) },
};

const list = (entries: readonly (readonly [name: string, about: string])[]): string =>
  entries.map(([name, about]) => `  ${name.padEnd(12)} ${about}`).join('\n');

const HELP = `Usage: npm run bench [-- [option ...] [suite ...]]
       npm run bench -- command ...

Measures the service, built and started afresh for each suite, and ends with 1 if a target is missed or a reply is wrong.
Targets: README.md. How it measures: docs/decisions/030-how-speed-is-measured.md.

Suites (default: all):
${list(SUITES.map(({ name, about }) => [name, about]))}

Options:
  --store NAME    embedded or dynamodb (default: both). DynamoDB is a dynalite started here, or DYNAMODB_ENDPOINT_URL
  --url URL       a deployed service instead, with
  --key KEY       an API key whose inbox is empty; what is sent is deleted at the end
  --seconds N     of a round (default 5)
  --rounds N      (default 3; tables show medians)
  --smoke         a second each and no targets: whether it all still works
  --json          results as JSON on stdout instead of a table
  --out FILE      results, a JSON line a round (default bench/results/latest.jsonl)

Commands:
${list(Object.entries(COMMANDS).map(([name, { about }]) => [name, about]))}`;

process.exitCode = await main(process.argv.slice(2));

/** @returns the exit code: 0 all well, 1 a target missed or a wrong reply, 2 not called as it should be. */
async function main(args: string[]): Promise<number> {
  const [first = '', ...rest] = args;
  if (first === '--help' || first === '-h') return help();
  const command = Object.hasOwn(COMMANDS, first) ? COMMANDS[first] : undefined;
  try {
    return await (command === undefined ? runSuites(args) : (await command.load())(rest));
  } catch (error) {
    if (!isUsageError(error)) throw error;
    console.error(`${error.message}\n\n${HELP}`);
    return 2;
  }
}

function help(): number {
  console.log(HELP);
  return 0;
}
