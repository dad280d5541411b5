import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/** What is kept between processes: compiled TypeScript, and packages in one piece. */
export const CACHE = new URL('../node_modules/.cache/typescript/', import.meta.url);

const TYPEBOX = new URL('../node_modules/typebox/', import.meta.url);
/** What is imported of a package of 683 files, each of which would be looked up and read. */
const IN_ONE_PIECE = ['typebox', 'typebox/compile', 'typebox/format', 'typebox/system'];

/**
 * The modules that stand in for others, by what is imported: URLs.
 *
 * @returns {Promise<Map<string, string>>}
 */
export async function substitutes() {
  const pieces = await bundled();
  return new Map([
    ['async-hook-domain', new URL('no-domains.mjs', import.meta.url).href],
    .../** @type {[string, string][]} */ (
      IN_ONE_PIECE.map((name) => [name, new URL(`${name}.js`, pieces).href])
    ),
  ]);
}

/** The folder with one file for each of `IN_ONE_PIECE`, beside what they share. */
async function bundled() {
  const { version } = JSON.parse(await readFile(new URL('package.json', TYPEBOX), 'utf8'));
  const names = IN_ONE_PIECE.map((name) => name.split('/').at(-1)).join('-');
  const folder = new URL(`${names}-${String(version)}/`, CACHE);
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
