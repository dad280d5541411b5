// `npm run client:pack -- DIR` builds triggers-api-client and writes its tarball into DIR. The name of the file goes to
// stdout.
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const source = join(root, 'src/client');
const [target] = process.argv.slice(2);
if (target === undefined) {
  console.error('usage: npm run client:pack -- DIR');
  process.exit(2);
}
mkdirSync(target, { recursive: true });

const stage = mkdtempSync(join(tmpdir(), 'triggers-api-client-'));
try {
  build('esm', 'module');
  build('cjs', 'commonjs');
  cpSync(join(root, 'LICENSE'), join(stage, 'LICENSE'));
  cpSync(join(source, 'README.md'), join(stage, 'README.md'));
  const manifest = readJson(join(source, 'package.json'));
  writeJson(join(stage, 'package.json'), {
    ...manifest,
    version: readJson(join(root, 'package.json')).version,
  });
  execFileSync('npm', ['pack', '--silent', '--pack-destination', resolve(target)], {
    cwd: stage,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
} finally {
  rmSync(stage, { recursive: true });
}

/**
 * Compiles the client in a folder whose package.json says which modules it holds: TypeScript looks there, as Node does.
 *
 * @param {string} folder
 * @param {'module' | 'commonjs'} type
 */
function build(folder, type) {
  const work = join(stage, 'work');
  mkdirSync(work);
  for (const name of readdirSync(source).filter((name) => name.endsWith('.ts'))) {
    // Declarations keep the names of imports, and older versions of TypeScript refuse those that end with .ts.
    const text = readFileSync(join(source, name), 'utf8').replaceAll(/(from '\.\/[\w-]+)\.ts'/g, "$1.js'");
    writeFileSync(join(work, name), text);
  }
  writeJson(join(work, 'package.json'), { type });
  writeJson(join(work, 'tsconfig.json'), {
    compilerOptions: {
      strict: true,
      exactOptionalPropertyTypes: true,
      target: 'es2022',
      // What browsers and Node both have. Anything of Node alone does not compile.
      lib: ['es2022', 'dom', 'dom.iterable', 'dom.asynciterable'],
      types: [],
      module: 'nodenext',
      declaration: true,
      rootDir: '.',
      outDir: join(stage, folder),
    },
    include: ['*.ts'],
  });
  execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', work], {
    stdio: ['ignore', 2, 2],
  });
  writeJson(join(stage, folder, 'package.json'), { type });
  rmSync(work, { recursive: true });
}

/** @param {string} path @returns {Record<string, unknown>} */
function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/** @param {string} path @param {object} value */
function writeJson(path, value) {
  writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);
}
