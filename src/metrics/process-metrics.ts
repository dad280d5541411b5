import { collectDefaultMetrics, type Registry } from 'prom-client';
import { register } from './families.ts';

interface Options {
  readonly version: string;
  readonly store: string;
  readonly droppedLines: () => number;
  /** Rejects while the service takes no requests. */
  readonly ready: () => Promise<void>;
}

/** What is about the process as a whole. prom-client's own metrics keep the names that everybody's dashboards use. */
export function registerProcess(registry: Registry, { version, store, droppedLines, ready }: Options): void {
  collectDefaultMetrics({ register: registry });
  for (const name of LEFT_OUT) registry.removeSingleMetric(name);
  register(registry, [
    {
      name: 'triggers_build_info',
      help: 'Always 1.',
      type: 'gauge',
      values: () => [{ labels: { version, node: process.version, store }, value: 1 }],
    },
    {
      name: 'triggers_ready',
      help: '1: /v1/ready answers 200. 0: 503.',
      type: 'gauge',
      values: async () => [
        {
          labels: {},
          value: await ready().then(
            () => 1,
            () => 0,
          ),
        },
      ],
    },
    {
      name: 'triggers_log_dropped_lines_total',
      help: 'Lines of the log that stdout did not take in time.',
      type: 'counter',
      values: () => [{ labels: {}, value: droppedLines() }],
    },
  ]);
}

/**
 * They list every handle of the process at each scrape, do not know the sockets of uWebSockets.js, and some are gauges that are
 * named like counters, which `promtool check metrics` refuses. The version of Node is in `triggers_build_info`.
 */
const LEFT_OUT = [
  'nodejs_active_handles',
  'nodejs_active_handles_total',
  'nodejs_active_requests',
  'nodejs_active_requests_total',
  'nodejs_active_resources',
  'nodejs_active_resources_total',
  'nodejs_version_info',
];
