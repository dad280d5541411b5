import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const CACHE = new URL('../node_modules/.cache/typescript/', import.meta.url);
const TYPEBOX = new URL('../node_modules/typebox/', import.meta.url);
/** What is imported of a package of 683 files, each of which would come through these hooks. */
const IN_ONE_PIECE = ['typebox', 'typebox/compile', 'typebox/system'];

const NO_DOMAINS = new URL('no-domains.mjs', import.meta.url).href;

/** @type {Promise<URL> | undefined} */
let pieces;

/** @type {import('node:module').ResolveHook} */
export async function resolve(specifier, context, nextResolve) {
  if (specifier === 'async-hook-domain') return { url: NO_DOMAINS, format: 'module', shortCircuit: true };
  if (!IN_ONE_PIECE.includes(specifier)) return nextResolve(specifier, context);
  const { href } = new URL(`${specifier}.js`, await (pieces ??= bundled()));
  return { url: href, format: 'module', shortCircuit: true };
}

/** The folder with one file for each of `IN_ONE_PIECE`, beside what they share. */
async function bundled() {
  const { version } = JSON.parse(await readFile(new URL('package.json', TYPEBOX), 'utf8'));
  const folder = new URL(`typebox-${String(version)}/`, CACHE);
  if (existsSync(folder)) return folder;
  const { build } = await import('esbuild');
  await mkdir(CACHE, { recursive: true });
  const draft = new URL(`${randomUUID()}/`, CACHE);
  await build({
    entryPoints: IN_ONE_PIECE.map((name) => ({ in: name, out: name })),
    outdir: fileURLToPath(draft),
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
  });
  // Another process may have been quicker.
  await rename(draft, folder).catch(async (error) => {
    await rm(draft, { recursive: true });
    if (!existsSync(folder)) throw error;
  });
  return folder;
}

/** @type {import('node:module').LoadHook} */
export async function load(url, context, nextLoad) {
  if (!url.startsWith('file:') || !/\.m?ts$/.test(url)) return nextLoad(url, context);
  const text = await readFile(new URL(url), 'utf8');
  return { format: 'module', shortCircuit: true, source: await blanked(text, fileURLToPath(url)) };
}

/**
 * @param {string} text
 * @param {string} path
 */
async function blanked(text, path) {
  const cached = new URL(`${createHash('sha256').update(text).digest('hex')}.js`, CACHE);
  const known = await readFile(cached, 'utf8').catch(() => undefined);
  if (known !== undefined) return known;
  const { default: blankSpace } = await import('ts-blank-space');
  const script = blankSpace(text, () => {
    throw new SyntaxError(`${path} holds TypeScript that is more than types`);
  });
  await mkdir(CACHE, { recursive: true });
  // Whole or not at all: other processes look for it at the same time.
  const draft = new URL(`${randomUUID()}.tmp`, CACHE);
  await writeFile(draft, script);
  await rename(draft, cached);
  return script;
}
