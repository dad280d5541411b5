// Both repacks of uWebSockets.js bring binaries for all platforms, over 110 MB each. What this platform cannot load is
// removed; what other versions of Node on it need stays, so that a change of Node needs no new install.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['node_modules/uWebSockets.js/dist/bin', 'node_modules/@btc-vision/uwebsockets.js'];
const HERE = `uws_${process.platform}_${process.arch}_`;

export function pruneBinaries() {
  for (const folder of FOLDERS) {
    for (const name of filesIn(folder)) {
      if (/^uws_.*\.node$/.test(name) && !name.startsWith(HERE)) rmSync(join(folder, name));
    }
  }
}

/** @param {string} folder */
function filesIn(folder) {
  try {
    return readdirSync(folder);
  } catch {
    // An optional package need not be installed.
    return [];
  }
}
