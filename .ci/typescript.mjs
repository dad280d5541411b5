// `node --import=./.ci/typescript.mjs file.ts` runs TypeScript: types are blanked out, so that lines and columns stay
// and stacks and coverage need no source maps. What a file comes to is kept by the hash of its text: most of the time of
// a short process would otherwise go into loading the compiler (0.7 s of CPU, and the tests start many).
import { register } from 'node:module';

register('./loader-hooks.mjs', import.meta.url);
