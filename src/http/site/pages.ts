import type { Contract } from '../route.ts';
import { assetPath, type AssetName } from './assets.ts';

/** Where the OpenAPI document is served. */
export const DOCUMENT_PATH = '/openapi.json';

interface PageParts {
  readonly path: string;
  readonly title: string;
  readonly styles: readonly AssetName[];
  readonly scripts: readonly AssetName[];
  readonly body: string;
}

/** Links are relative, so that they also work where a proxy serves all of this under a path of its own. */
function html({ path, title, styles, scripts, body }: PageParts): string {
  const link = (to: string, text: string) =>
    `<a href="${relative(to)}"${to === path ? ' aria-current="page"' : ''}>${text}</a>`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="${relative(assetPath('icon.svg'))}" type="image/svg+xml">
${styles.map((name) => `<link rel="stylesheet" href="${relative(assetPath(name))}">`).join('\n')}
${scripts.map((name) => `<script defer src="${relative(assetPath(name))}"></script>`).join('\n')}
</head>
<body>
<nav class="bar">
<a class="name" href="${relative('/')}"><img src="${relative(assetPath('icon.svg'))}" alt="">Triggers API</a>
${link('/docs', 'Try it')}
${link('/redoc', 'Read it')}
${link(DOCUMENT_PATH, 'OpenAPI')}
</nav>
${body}
</body>
</html>
`;
}

/** From a page at the top. */
function relative(path: string): string {
  return `.${path}`;
}

const NO_SCRIPT = '<noscript><p>This page needs JavaScript.</p></noscript>';

/** @param tryOutKey is entered already, where it is given. */
export function docsPage(tryOutKey: string | undefined): string {
  const key = tryOutKey === undefined ? '' : ` data-key="${escape(tryOutKey)}"`;
  return html({
    path: '/docs',
    title: 'Try it - Triggers API',
    styles: ['swagger-ui.css', 'site.css'],
    scripts: ['swagger-ui.js', 'start-docs.js'],
    body: `<main id="swagger-ui" data-document="${relative(DOCUMENT_PATH)}"${key}></main>${NO_SCRIPT}`,
  });
}

export function redocPage(): string {
  return html({
    path: '/redoc',
    title: 'Reference - Triggers API',
    styles: ['site.css'],
    scripts: ['redoc.js', 'start-redoc.js'],
    body: `<div id="redoc" data-document="${relative(DOCUMENT_PATH)}"></div>${NO_SCRIPT}`,
  });
}

/** What both forms of `/` tell. */
export interface Home {
  readonly version: string;
  readonly contracts: readonly Contract[];
  readonly tryOutKey: string | undefined;
}

export function homePage({ version, contracts, tryOutKey }: Home): string {
  return html({
    path: '/',
    title: 'Triggers API',
    styles: ['site.css'],
    scripts: [],
    body: `<main class="home">
<h1>Triggers API</h1>
<p>Send events over HTTP, and pull them out of an inbox until you have acknowledged them. A 2xx means that the event is durable.</p>
<ul class="cards">
<li><a href="./docs"><strong>Try it</strong>Send requests from the browser, with Swagger UI.</a></li>
<li><a href="./redoc"><strong>Read it</strong>The whole reference on one page, with ReDoc.</a></li>
<li><a href=".${DOCUMENT_PATH}"><strong>OpenAPI</strong>The OpenAPI 3.1 document, as JSON.</a></li>
</ul>
${
  tryOutKey === undefined
    ? ''
    : `<p>This server takes the key <code>${escape(tryOutKey)}</code>, for trying it out.</p>\n`
}${contracts.map(routeList).join('\n')}
<p>Version ${escape(version)}</p>
</main>`,
  });
}

function routeList({ prefix, routes }: Contract): string {
  const rows = routes.map(
    ({ method, path, summary }) =>
      `<div><dt><code>${method} ${escape(path)}</code></dt><dd>${escape(summary)}</dd></div>`,
  );
  return `<h2>${prefix === '' ? 'Unversioned' : escape(prefix)}</h2>\n<dl>\n${rows.join('\n')}\n</dl>`;
}

/** The same for programs. */
export function homeJson({ version, contracts }: Omit<Home, 'tryOutKey'>): string {
  return JSON.stringify({
    name: 'Triggers API',
    version,
    links: { docs: '/docs', redoc: '/redoc', openapi: DOCUMENT_PATH },
    paths: contracts.flatMap(({ routes }) =>
      routes.map(({ method, path, summary }) => ({ method, path, summary })),
    ),
  });
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}
