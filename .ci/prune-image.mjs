// Takes from node_modules all that the service never loads, for the image: run in the folder of package.json, on the platform
// and the Node of the image. `npm run test:image` shows that the rest is enough.
import { readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

/** Packages of which the service serves some files and loads no code. Theirs are also the only ones without their dependencies. */
const FILES_ONLY = {
  redoc: ['bundles/redoc.standalone.js'],
  'swagger-ui-dist': ['swagger-ui.css', 'swagger-ui-bundle.js'],
};
const ALWAYS_KEPT = /^(?:package\.json|(?:LICEN[CS]E|NOTICE|COPYING)[^/]*)$/i;

/** What no program loads: declarations, source maps, and the builds of packages that Node finds beside those for bundlers. */
const FOR_DEVELOPERS = /\.(?:map|[cm]?ts|md|flow)$|\/(?:dist-es|dist-types)\//;

const { platform, arch, versions } = process;
/** Binaries of other platforms, C libraries and versions of Node. Each package has its own way of naming them. */
const FOREIGN = [
  new RegExp(`uws_(?!${platform}_${arch}_${versions.modules}\\.node$)[^/]*\\.node$`),
  new RegExp(`/prebuilds/(?!${platform}-${arch}/)`),
  new RegExp(`node\\.(?:abi(?!${versions.modules}\\.)\\d+\\.\\w+|\\w+\\.musl)\\.node$`),
];

const MODULES = 'node_modules';
const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8'));

const kept = needed();
for (const path of Object.keys(packages).filter((path) => path !== '' && !kept.has(path))) {
  rmSync(path, { recursive: true, force: true });
}
// Made by npm, of what was there.
for (const name of ['.bin', '.package-lock.json', '.cache']) {
  rmSync(join(MODULES, name), { recursive: true, force: true });
}
for (const file of filesIn(MODULES)) {
  if (!isLoaded(file)) rmSync(file);
}
removeEmpty(MODULES);

/** Paths of the packages that the service's own dependencies lead to, as Node finds them. */
function needed() {
  const found = new Set();
  const follow = (path) => {
    if (found.has(path)) return;
    found.add(path);
    const { dependencies, optionalDependencies, peerDependencies, peerDependenciesMeta } = packages[path];
    if (nameOf(path) in FILES_ONLY) return;
    for (const name of Object.keys({ ...dependencies, ...optionalDependencies, ...peerDependencies })) {
      const target = resolveFrom(path, name);
      if (target !== undefined) follow(target);
      else if (!(name in { ...optionalDependencies, ...peerDependenciesMeta })) {
        throw new Error(`${path} needs ${name}, which package-lock.json does not have`);
      }
    }
  };
  follow('');
  return found;
}

/** The package that a `require(name)` in the package at `path` finds: the nearest one upwards. */
function resolveFrom(path, name) {
  for (let at = path; ;) {
    const candidate = `${at === '' ? '' : `${at}/`}${MODULES}/${name}`;
    if (candidate in packages) return candidate;
    if (at === '') return undefined;
    at = at.slice(0, Math.max(0, at.lastIndexOf(`/${MODULES}/`)));
  }
}

function nameOf(path) {
  return path.slice(path.lastIndexOf(`${MODULES}/`) + MODULES.length + 1);
}

function isLoaded(file) {
  const [, name, rest] = /^node_modules\/((?:@[^/]+\/)?[^/]+)\/(.*)$/.exec(file.split(sep).join('/')) ?? [];
  if (name === undefined) return true;
  if (ALWAYS_KEPT.test(rest)) return true;
  if (name in FILES_ONLY) return FILES_ONLY[name].includes(rest);
  return !FOR_DEVELOPERS.test(file) && !FOREIGN.some((foreign) => foreign.test(file));
}

function filesIn(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative('.', join(entry.parentPath, entry.name)));
}

function removeEmpty(folder) {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!statSync(path).isDirectory()) continue;
    removeEmpty(path);
    if (readdirSync(path).length === 0) rmSync(path, { recursive: true });
  }
}
