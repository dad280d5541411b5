// Node before 24: see typescript.mjs.
import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { CACHE, substitutes } from './substitutes.mjs';

const places = await substitutes();

/** @type {import('node:module').ResolveHook} */
export async function resolve(specifier, context, nextResolve) {
  const url = places.get(specifier);
  return url === undefined ? nextResolve(specifier, context) : { url, format: 'module', shortCircuit: true };
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
