// Runs on `npm install` and `npm ci`. The hook is for people who commit: a production install
// (no dev dependencies), an unpacked tarball (no .git) and CI do without it.
import { existsSync } from 'node:fs';

if (!process.env.CI && existsSync('.git')) {
  const husky = await import('husky').then(
    (module) => module.default,
    () => undefined,
  );
  const problem = husky?.();
  if (problem) console.error(problem);
}
