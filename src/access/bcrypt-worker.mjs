// This is JavaScript because a thread does not inherit the loader that runs TypeScript in development. `tsc` checks and copies it.
import { verifySync } from '@node-rs/bcrypt';
import { parentPort } from 'node:worker_threads';

parentPort?.on(
  'message',
  /** @param {import('./secret-verifier.ts').VerifyRequest} request */
  ({ secret, hash }) => {
    parentPort?.postMessage(verifySync(secret, hash));
  },
);
