import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Test } from 'tap';
import { eventually } from '../../bench/harness/dynamodb.ts';
import { freePort } from '../../src/cli/dynamodb-local.ts';

/** One series of an answer. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [time: number, value: string];
}

export interface Prometheus {
  readonly url: string;
  /** Evaluates PromQL at this moment. Rejects with Prometheus' own message. */
  query(expression: string): Promise<readonly Sample[]>;
  /** What its API answers under `/api/v1/`. */
  api(path: string): Promise<unknown>;
}

export const RULES = resolve('docs/deploy/prometheus/alerts.yaml');

/** Runs promtool. Resolves with its output; rejects with it when it has found something. */
export function promtool(args: readonly string[], input = ''): Promise<string> {
  return new Promise((resolvePromise, reject) => {
    const child = execFile('promtool', args, (error, stdout, stderr) => {
      if (error) reject(new Error(`promtool ${args.join(' ')}: ${stdout}${stderr}`));
      else resolvePromise(stdout + stderr);
    });
    child.stdin?.end(input);
  });
}

/**
 * Starts Debian's Prometheus with the alert rules, scraping each second. It is ended with the test.
 *
 * @param targets where metrics are served.
 */
export async function startPrometheus(t: Test, targets: readonly string[]): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'prometheus-'));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  const config = join(folder, 'prometheus.json');
  // JSON is YAML as well.
  await writeFile(
    config,
    JSON.stringify({
      global: { scrape_interval: '1s', evaluation_interval: '1s' },
      rule_files: [RULES],
      scrape_configs: [
        { job_name: 'triggers-api', static_configs: [{ targets: targets.map((url) => new URL(url).host) }] },
      ],
    }),
  );
  const port = await freePort();
  const child = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${String(port)}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let errors = '';
  child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const url = `http://127.0.0.1:${String(port)}`;
  const api = async (path: string): Promise<unknown> => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const answer = (await response.json()) as { status: string; error?: string; data?: unknown };
    if (answer.status !== 'success') throw new Error(`${path}: ${String(answer.error)}${errors}`);
    return answer.data;
  };
  await eventually(async () => {
    const response = await fetch(`${url}/-/ready`);
    if (response.status !== 200) throw new Error(errors);
  });
  return {
    url,
    api,
    async query(expression) {
      const data = await api(`query?query=${encodeURIComponent(expression)}`);
      return (data as { result: readonly Sample[] }).result;
    },
  };
}
