export interface Query {
  /** Of the panel. */
  readonly title: string;
  readonly expression: string;
}

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

export interface Dashboard {
  readonly schemaVersion: number;
  readonly templating: { readonly list: readonly { readonly name: string; readonly type: string }[] };
  readonly panels: readonly (Panel & {
    readonly id: number;
    readonly datasource?: { readonly uid: string };
    readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  })[];
}

/** @param json a dashboard as Grafana exports it. */
export function dashboardQueries(json: string): Query[] {
  const { panels } = JSON.parse(json) as Dashboard;
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }, index) => ({ title: `${title} ${String(index + 1)}`, expression: expr })),
  );
}

/** Names of metrics in PromQL or in a file that has some. Ours, and those of prom-client. */
export function metricNames(text: string): Set<string> {
  return new Set(text.match(/\b(?:triggers|process|nodejs)_[a-z0-9_]+/g));
}
