import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { ICON, START_DOCS, START_REDOC, STYLE } from './own-assets.ts';

const require = createRequire(import.meta.url);

const JAVASCRIPT = 'text/javascript; charset=utf-8';
const CSS = 'text/css; charset=utf-8';

/** ReDoc shows this beside its name; no page loads anything of another host. */
const REDOC_LOGO = 'https://cdn.redoc.ly/redoc/logo-mini.svg';
const NO_IMAGE = 'data:image/gif;base64,R0lGODlhAQABAAAAACw=';

export interface Asset {
  readonly contentType: string;
  readonly read: () => Promise<Buffer>;
}

/** By file name. Nothing is read before it is asked for. */
export const ASSETS = {
  'icon.svg': own('image/svg+xml', ICON),
  'site.css': own(CSS, STYLE),
  'start-docs.js': own(JAVASCRIPT, START_DOCS),
  'start-redoc.js': own(JAVASCRIPT, START_REDOC),
  'swagger-ui.css': packaged(CSS, 'swagger-ui-dist/swagger-ui.css'),
  'swagger-ui.js': packaged(JAVASCRIPT, 'swagger-ui-dist/swagger-ui-bundle.js'),
  'redoc.js': packaged(JAVASCRIPT, 'redoc/bundles/redoc.standalone.js', withoutLogo),
} satisfies Record<string, Asset>;
export type AssetName = keyof typeof ASSETS;

/** Changes whenever an asset does, so that each may be cached for ever. Found without reading megabytes at the start. */
const REVISION = createHash('sha256')
  .update(
    [ICON, STYLE, START_DOCS, START_REDOC, NO_IMAGE, ...['swagger-ui-dist', 'redoc'].map(versionOf)].join(
      '\0',
    ),
  )
  .digest('hex')
  .slice(0, 12);

/** All paths of assets begin with it. */
export const ASSETS_PREFIX = '/assets';

export function assetPath(name: AssetName): string {
  return `${ASSETS_PREFIX}/${REVISION}/${name}`;
}

function own(contentType: string, text: string): Asset {
  return { contentType, read: () => Promise.resolve(Buffer.from(text)) };
}

function packaged(contentType: string, file: string, change = (bytes: Buffer) => bytes): Asset {
  return { contentType, read: async () => change(await readFile(require.resolve(file))) };
}

function withoutLogo(bytes: Buffer): Buffer {
  return Buffer.from(bytes.toString().replaceAll(REDOC_LOGO, NO_IMAGE));
}

function versionOf(name: string): string {
  return (require(`${name}/package.json`) as { version: string }).version;
}
