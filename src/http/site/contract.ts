import type { RequestHead } from '../head.ts';
import type { Headers } from '../reply.ts';
import type { Contract, Route } from '../route.ts';
import { route } from '../route.ts';
import { ASSETS, ASSETS_PREFIX, assetPath, type Asset, type AssetName } from './assets.ts';
import { type Content, contentReply, keep, makeContent, takesHtml } from '../content.ts';
import { docsPage, homeJson, homePage, redocPage } from './pages.ts';
import { ASSET_HEADERS, ICON_HEADERS, pageHeaders, POLICIES } from './policy.ts';

export interface SiteOptions {
  readonly version: string;
  /** What the first page lists. */
  readonly contracts: readonly Contract[];
  /** In whose form it answers what goes wrong. */
  readonly errors: Contract;
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
    routes: [home(options), ...pages(options), ...Object.entries(ASSETS).map(asset), favicon()],
  };
}

const HTML = 'text/html; charset=utf-8';
const JSON_TYPE = 'application/json; charset=utf-8';

function home(options: SiteOptions): Route {
  const page = text(HTML, homePage(options));
  const json = text(JSON_TYPE, homeJson(options));
  return file('/', 'What is served here: a page for browsers, JSON for others', {
    choose: ({ accept }) => (takesHtml(accept) ? page() : json()),
    headers: pageHeaders(POLICIES.home, 'accept, accept-encoding'),
  });
}

function pages({ tryOutKey }: SiteOptions): Route[] {
  return [
    file('/docs', 'Swagger UI: the contracts, to try out', {
      choose: text(HTML, docsPage(tryOutKey)),
      headers: pageHeaders(POLICIES.docs, 'accept-encoding'),
    }),
    file('/redoc', 'ReDoc: the contracts, to read', {
      choose: text(HTML, redocPage()),
      headers: pageHeaders(POLICIES.redoc, 'accept-encoding'),
    }),
  ];
}

function asset([name, { contentType, read }]: [string, Asset]): Route {
  return file(assetPath(name as AssetName), `Of the pages: ${name}`, {
    choose: keep(async () => makeContent(contentType, await read())),
    headers: ASSET_HEADERS,
  });
}

/** Asked for by browsers that show what is no page and names no icon, such as the OpenAPI document. */
function favicon(): Route {
  const { contentType, read } = ASSETS['icon.svg'];
  return file('/favicon.ico', 'The icon of the pages', {
    choose: keep(async () => makeContent(contentType, await read())),
    headers: ICON_HEADERS,
  });
}

function text(contentType: string, contents: string): () => Promise<Content> {
  return keep(() => makeContent(contentType, Buffer.from(contents)));
}

interface Served {
  readonly choose: (head: RequestHead) => Promise<Content>;
  readonly headers: Headers;
}

function file(path: string, summary: string, { choose, headers }: Served): Route {
  return route({
    method: 'GET',
    path,
    operationId: path,
    summary,
    description: summary,
    undescribed: true,
    auth: false,
    responses: { 200: null },
    handle: async ({ head }) => contentReply(await choose(head), head, headers),
  });
}
