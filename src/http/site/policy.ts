import type { Headers } from '../reply.ts';

/** An inline style element without contents, which a script fills rule by rule (CSS Object Model). */
const EMPTY_STYLE = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='";
/** The style sheet of perfect-scrollbar, which the bundle of ReDoc 2.5.4 inserts as it is loaded. */
const SCROLLBAR_STYLE = "'sha256-QMIg+bpjm3JdElJ388KYke01izlUW0UoNOeKjpMxdgc='";

/** No page loads, runs, sends to or stands in anything of another host; no script or style stands in a page itself. */
const BASE = {
  'default-src': "'none'",
  'script-src': "'self'",
  'style-src': "'self'",
  'img-src': "'self'",
  'base-uri': "'none'",
  'form-action': "'none'",
  'frame-ancestors': "'none'",
};

/** What each page needs beside it, found by taking it away (docs/decisions/021-pages-and-their-policy.md). */
export const POLICIES = {
  home: policy({}),
  docs: policy({
    // The document, and the requests of "Try it out".
    'connect-src': "'self'",
    // Icons in the style sheet of Swagger UI.
    'img-src': "'self' data:",
  }),
  redoc: policy({
    'connect-src': "'self'",
    'img-src': "'self' data:",
    // styled-components makes one empty element and inserts its rules.
    'style-src': `'self' ${EMPTY_STYLE} ${SCROLLBAR_STYLE}`,
    // The search index is made in a worker, whose text is in the bundle.
    'worker-src': 'blob:',
  }),
};

function policy(more: Record<string, string>): string {
  return Object.entries({ ...BASE, ...more })
    .map(([directive, sources]) => `${directive} ${sources}`)
    .join('; ');
}

/** Everything that a browser gets has these. */
const COMMON: Headers = [
  ['x-content-type-options', 'nosniff'],
  ['cross-origin-resource-policy', 'same-origin'],
  ['referrer-policy', 'no-referrer'],
];

/** A page: asked for again each time, and answered with 304 as long as it has not changed. */
export function pageHeaders(contentSecurityPolicy: string, vary: string): Headers {
  return [
    ...COMMON,
    ['content-security-policy', contentSecurityPolicy],
    ['cache-control', 'no-cache'],
    ['vary', vary],
  ];
}

/** An asset: its URL changes with its contents, so that nobody has to ask again for a year. */
export const ASSET_HEADERS: Headers = [
  ...COMMON,
  ['cache-control', 'public, max-age=31536000, immutable'],
  ['vary', 'accept-encoding'],
];

/** The icon at the path that never changes. */
export const ICON_HEADERS: Headers = [
  ...COMMON,
  ['cache-control', 'public, max-age=86400'],
  ['vary', 'accept-encoding'],
];
