import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * Copies what `.dockerignore` leaves of a folder. It has to be a list of what is let in: `*`, then `!path` for each file and
 * folder. Other patterns are refused, because their rules are many.
 */
export function copyContext(folder: string, to: string): void {
  const [first, ...rest] = readFileSync(join(folder, '.dockerignore'), 'utf8').trim().split('\n');
  const paths = rest.map((line) => /^!([\w./-]+)$/.exec(line)?.[1]);
  if (first !== '*' || paths.includes(undefined))
    throw new Error('.dockerignore is not a list of what is let in');
  for (const path of paths as string[]) {
    if (!existsSync(join(folder, path))) throw new Error(`.dockerignore lets in ${path}, which is not there`);
    mkdirSync(dirname(join(to, path)), { recursive: true });
    cpSync(join(folder, path), join(to, path), { recursive: true, preserveTimestamps: true });
  }
}
