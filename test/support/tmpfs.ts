import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

/**
 * Mounts a small file system with a folder `data` in it, unmounted with the test. Undefined, and said, where that is not
 * allowed.
 */
export function mountTmpfs(t: Test, mebibytes: number): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'triggers-api-'));
  const options = ['-t', 'tmpfs', '-o', `size=${String(mebibytes)}m`, 'tmpfs', folder];
  try {
    execFileSync('mount', options, { stdio: 'pipe' });
  } catch (error) {
    rmdirSync(folder);
    t.comment(`not run: a small file system cannot be mounted here (${String(error)})`);
    return undefined;
  }
  t.teardown(() => {
    execFileSync('umount', ['--lazy', folder]);
    rmdirSync(folder);
  });
  mkdirSync(join(folder, 'data'));
  return folder;
}
