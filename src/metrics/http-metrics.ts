import type { Endpoint } from '../http/endpoint.ts';
import type { Exchange } from '../http/exchange.ts';
import type { ServerOptions } from '../http/server.ts';
import { createHistogram, LATENCY_MS, MS, type Family, type Value } from './families.ts';

export interface HttpMetrics {
  readonly hooks: Pick<ServerOptions, 'onRequest' | 'onResponse'>;
  readonly families: readonly Family[];
}

/** What of a request the metrics look at. */
export type Observed = Pick<Exchange, 'method' | 'status' | 'startedAt' | 'heldMs'> & {
  readonly match: { readonly endpoint: Pick<Endpoint, 'path'> };
};

/** @param now milliseconds, as `startedAt` of an exchange. */
export function createHttpMetrics(now: () => number = () => performance.now()): HttpMetrics & {
  readonly hooks: { onRequest(): void; onResponse(exchange: Observed): void };
} {
  // An endpoint is one object for each method and path of the route table, so its look-up needs no text.
  const byEndpoint = new Map<Observed['match']['endpoint'], Map<string, Series>>();
  // Each contract has an endpoint of its own for unknown paths, and all have the same labels: Prometheus takes a series once.
  const byLabels = new Map<string, Series>();
  let inFlight = 0;

  const seriesOf = ({ match: { endpoint }, method }: Observed): Series => {
    let methods = byEndpoint.get(endpoint);
    if (methods === undefined) byEndpoint.set(endpoint, (methods = new Map<string, Series>()));
    const known = methods.get(method);
    if (known !== undefined) return known;
    const bounded = METHODS.has(method) ? method : 'other';
    const labels = `${bounded} ${endpoint.path}`;
    const series = byLabels.get(labels) ?? createSeries(endpoint.path, bounded);
    byLabels.set(labels, series);
    methods.set(bounded, series);
    return series;
  };
  const all = (values: (series: Series) => readonly Value[]): Value[] =>
    [...byLabels.values()].flatMap(values);

  return {
    hooks: {
      onRequest() {
        inFlight++;
      },
      onResponse(exchange) {
        inFlight--;
        const series = seriesOf(exchange);
        const { status } = exchange;
        const place = status === null ? ABORTED : status % STATUSES;
        series.byStatus[place] = (series.byStatus[place] ?? 0) + 1;
        if (status !== null) series.latency.observe(now() - exchange.startedAt - exchange.heldMs);
      },
    },
    families: [
      {
        name: 'triggers_http_requests_total',
        help: 'Requests that have ended. Status "aborted": the client went away before its answer.',
        type: 'counter',
        values: () => all(statusValues),
      },
      {
        name: LATENCY,
        help: 'Time from the head of a request to the last byte of its reply, without what it waited for events.',
        type: 'histogram',
        values: () => all(({ latency, labels }) => latency.values(LATENCY, labels, MS)),
      },
      {
        name: 'triggers_http_requests_in_flight',
        help: 'Requests that have begun and not ended.',
        type: 'gauge',
        values: () => [{ labels: {}, value: inFlight }],
      },
    ],
  };
}

const LATENCY = 'triggers_http_request_duration_seconds';

/** Any client can make up a method, and each would be a series for ever. */
const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

const STATUSES = 600;
const ABORTED = 0;

type Series = ReturnType<typeof createSeries>;

function createSeries(route: string, method: string) {
  return {
    labels: { route, method },
    byStatus: new Float64Array(STATUSES),
    latency: createHistogram(LATENCY_MS),
  };
}

function statusValues({ labels, byStatus }: Series): Value[] {
  return [...byStatus.entries()].flatMap(([status, value]) =>
    value === 0 ? [] : [{ labels: { ...labels, status: status === ABORTED ? 'aborted' : status }, value }],
  );
}
