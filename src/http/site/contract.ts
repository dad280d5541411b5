import type { Contract, ErrorForm, Route } from '../route.ts';
import { route } from '../route.ts';
import { ASSETS, ASSETS_PREFIX, assetPath, type Asset, type AssetName } from './assets.ts';
import { contentReply, keep, makeContent, takesHtml } from './content.ts';
import { docsPage, homeJson, homePage, redocPage } from './pages.ts';
import { ASSET_HEADERS, pageHeaders, POLICIES } from './policy.ts';

export interface SiteOptions {
  readonly version: string;
  /** What the first page lists. */
  readonly contracts: readonly Contract[];
  /** Of everything that goes wrong here. */
  readonly errors: ErrorForm;
  /** A key that everybody may know; `/docs` has it entered. */
  readonly tryOutKey: string | undefined;
}

/**
 * The pages for people: `/`, `/docs`, `/redoc`, and the files that they load. Every file is made at its first request and kept:
 * about 5 MB when all have been asked for.
 */
export function siteContract(options: SiteOptions): Contract {
  return {
    ...options.errors,
    prefix: ASSETS_PREFIX,
    routes: [home(options), ...pages(options), ...Object.entries(ASSETS).map(asset)],
  };
}

const HTML = 'text/html; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';

function home(options: SiteOptions): Route {
  const page = keep(() => makeContent(HTML, Buffer.from(homePage(options))));
  const json = keep(() => makeContent(JSON_TYPE, Buffer.from(homeJson(options))));
  const headers = pageHeaders(POLICIES.home, 'accept, accept-encoding');
  return route({
    method: 'GET',
    path: '/',
    summary: 'What is served here: a page for browsers, JSON for others',
    auth: false,
    responses: { 200: null },
    handle: async ({ head }) => contentReply(await (takesHtml(head.accept) ? page() : json()), head, headers),
  });
}

function pages({ tryOutKey }: SiteOptions): Route[] {
  const page = (path: string, summary: string, text: string, policy: string): Route => {
    const content = keep(() => makeContent(HTML, Buffer.from(text)));
    const headers = pageHeaders(policy, 'accept-encoding');
    return route({
      method: 'GET',
      path,
      summary,
      auth: false,
      responses: { 200: null },
      handle: async ({ head }) => contentReply(await content(), head, headers),
    });
  };
  return [
    page('/docs', 'Swagger UI: the contracts, to try out', docsPage(tryOutKey), POLICIES.docs),
    page('/redoc', 'ReDoc: the contracts, to read', redocPage(), POLICIES.redoc),
  ];
}

function asset([name, { contentType, read }]: [string, Asset]): Route {
  const content = keep(async () => makeContent(contentType, await read()));
  return route({
    method: 'GET',
    path: assetPath(name as AssetName),
    summary: `Of the pages: ${name}`,
    auth: false,
    responses: { 200: null },
    handle: async ({ head }) => contentReply(await content(), head, ASSET_HEADERS),
  });
}
