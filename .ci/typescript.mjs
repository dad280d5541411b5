// `node --import=./.ci/typescript.mjs file.ts` runs TypeScript: types are blanked out, so that lines and columns stay
// and stacks and coverage need no source maps. What a file comes to is kept between processes, of which the tests start
// many. Node 24 does all that itself. Node 22 blanks types too but keeps nothing of it, and is slower than the loader that
// it and Node 20 get here (docs/decisions/004-typescript-without-source-maps.md).
import module from 'node:module';
import { fileURLToPath } from 'node:url';

if (Number(process.versions.node.split('.')[0]) >= 24) {
  const { CACHE, substitutes } = await import('./substitutes.mjs');
  module.enableCompileCache(fileURLToPath(new URL('compiled/', CACHE)));
  const places = await substitutes();
  module.registerHooks({
    resolve(specifier, context, nextResolve) {
      const url = places.get(specifier);
      return url === undefined
        ? nextResolve(specifier, context)
        : { url, format: 'module', shortCircuit: true };
    },
  });
} else {
  module.register('./loader-hooks.mjs', import.meta.url);
}
