import type { TestApp } from './app.ts';

/** Numbers of one scrape, by the text before them: `name{label="value"}`. */
export type Scrape = ReadonlyMap<string, number>;

/** Reads Prometheus' text format (https://prometheus.io/docs/instrumenting/exposition_formats/). */
export function parseScrape(text: string): Scrape {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

/** The text of a service with `METRICS_PORT`. */
export async function scrapeText(url: string | undefined): Promise<string> {
  if (url === undefined) throw new Error('the service serves no metrics');
  const response = await fetch(url);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${String(response.status)}: ${text}`);
  return text;
}

export async function scrape({ app }: Pick<TestApp, 'app'>): Promise<Scrape> {
  return parseScrape(await scrapeText(app.metricsUrl));
}
