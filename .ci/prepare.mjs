// Runs at the end of `npm install` and `npm ci`. A production install has neither husky nor tap and needs neither.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { pruneBinaries } from './prune-binaries.mjs';

/** @param {string} name */
const installed = (name) => existsSync(`node_modules/${name}`);

if (installed('husky') && existsSync('.git') && !process.env.CI) {
  const { default: husky } = await import('husky');
  const problem = husky();
  if (problem) console.error(problem);
}

// tap compiles the set of its plugins. Left to the first `npm test`, that run would still use the old set and fail.
if (installed('tap')) execFileSync('npx', ['tap', 'build'], { stdio: ['ignore', 'ignore', 'inherit'] });

pruneBinaries();
