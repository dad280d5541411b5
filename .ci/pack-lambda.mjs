// `npm run lambda:pack -- DIR` writes the package of the Lambda function into an empty DIR: one file with the service and its
// libraries, and beside it only what cannot be in it. The function's handler is `dist/lambda.handler`, on `nodejs22.x` and on
// the architecture of the machine that packs. Its zip: `cd DIR && zip -qr ../lambda.zip .`.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('..', import.meta.url));
const [target] = process.argv.slice(2);
if (target === undefined) {
  console.error('usage: npm run lambda:pack -- DIR');
  process.exit(2);
}
if (existsSync(target) && readdirSync(target).length > 0) {
  console.error(`${target} is not empty: name an empty folder`);
  process.exit(1);
}

// The folder keeps the depth of src/, so that `../package.json` is there.
await build({
  entryPoints: [join(root, 'src/lambda.ts')],
  outfile: join(target, 'dist/lambda.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node22',
  // Names stay, for stacks in the log.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  // The first has a binary. The others are never loaded here: the embedded store, and a log for terminals.
  external: ['@node-rs/bcrypt', './embedded/*', 'pino-pretty'],
  // Libraries that are CommonJS require Node's own modules.
  banner: {
    js: "import { createRequire as nodeRequire } from 'node:module';const require = nodeRequire(import.meta.url);",
  },
  logLevel: 'warning',
});
copy('src/access/bcrypt-worker.mjs', 'dist/bcrypt-worker.mjs');
copy(`node_modules/@node-rs/bcrypt`);
copy(`node_modules/@node-rs/bcrypt-linux-${process.arch}-gnu`);
// Of the pages for people: read when they are asked for.
for (const file of ['package.json', 'swagger-ui.css', 'swagger-ui-bundle.js', 'LICENSE']) {
  copy(`node_modules/swagger-ui-dist/${file}`);
}
for (const file of ['package.json', 'bundles/redoc.standalone.js', 'LICENSE'])
  copy(`node_modules/redoc/${file}`);
copy('LICENSE');
const { name, version, license } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
writeFileSync(
  join(target, 'package.json'),
  `${JSON.stringify({ name, version, license, private: true, type: 'module' }, null, 2)}\n`,
);

/** @param {string} from a file or folder of the repository @param {string} to in the package */
function copy(from, to = from) {
  mkdirSync(dirname(join(target, to)), { recursive: true });
  cpSync(join(root, from), join(target, to), { recursive: true });
}
