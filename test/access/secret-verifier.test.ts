import { hashSync } from '@node-rs/bcrypt';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Worker } from 'node:worker_threads';
import t from 'tap';
import { hashSecret } from '../../src/access/secret-hash.ts';
import { createSecretVerifier, startBcryptWorker } from '../../src/access/secret-verifier.ts';
import { StoreOverloadedError, StoreUnavailableError } from '../../src/store/store-errors.ts';

const run = promisify(execFile);
const HASH = hashSync('right', 4);

void t.test('accepts the right secret and refuses a wrong one', async (t) => {
  const verifier = createSecretVerifier();
  t.teardown(() => verifier.close());
  const secret = 'abcdefghijkl0123456789';
  const hash = hashSecret(secret);
  t.equal(await verifier.verify('key', secret, hash), true);
  t.equal(await verifier.verify('key', 'abcdefghijkl0123456780', hash), false);
  t.equal(await verifier.verify('key', secret, 'no hash'), false);
});

void t.test('answers reach their own callers', async (t) => {
  const verifier = createSecretVerifier();
  t.teardown(() => verifier.close());
  const secrets = Array.from({ length: 40 }, (_, i) => (i % 3 ? 'wrong' : 'right'));
  const answers = await Promise.all(
    secrets.map((secret, i) => verifier.verify(`key${String(i)}`, secret, HASH)),
  );
  t.same(
    answers,
    secrets.map((secret) => secret === 'right'),
  );
});

void t.test('beyond the bound of the queue callers are refused at once, the others served', async (t) => {
  const verifier = createSecretVerifier({ maxWaiting: 5 });
  t.teardown(() => verifier.close());
  // One is being verified, five wait.
  const served = Array.from({ length: 6 }, (_, i) => verifier.verify(`key${String(i)}`, 'right', HASH));
  await t.rejects(verifier.verify('late', 'right', HASH), StoreOverloadedError);
  t.same(await Promise.all(served), Array(6).fill(true));
  t.equal(await verifier.verify('late', 'right', HASH), true, 'room again');
});

void t.test('at most two wait for one key id, and other keys are not affected', async (t) => {
  const verifier = createSecretVerifier();
  t.teardown(() => verifier.close());
  const attack = Array.from({ length: 50 }, () => verifier.verify('known', 'wrong', HASH));
  const other = verifier.verify('other', 'right', HASH);
  const outcomes = await Promise.allSettled(attack);
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  t.equal(refused.length, 47, 'one is being verified, two wait');
  t.ok(refused.every((outcome) => outcome.reason instanceof StoreOverloadedError));
  t.equal(await other, true);
  t.equal(await verifier.verify('known', 'right', HASH), true, 'the count goes down again');
});

void t.test('when the thread dies only its caller gets an error', async (t) => {
  const workers: Worker[] = [];
  const startWorker = () => {
    const worker = startBcryptWorker();
    workers.push(worker);
    return worker;
  };
  const verifier = createSecretVerifier({ startWorker });
  t.teardown(() => verifier.close());
  const lost = verifier.verify('a', 'right', hashSync('right', 10));
  const waiting = verifier.verify('b', 'right', HASH);
  void workers[0]?.terminate();
  await t.rejects(lost, StoreUnavailableError);
  t.equal(await waiting, true);
  t.equal(workers.length, 2);
});

void t.test('a thread that cannot start is an error for each caller, not a hang', async (t) => {
  const { Worker } = await import('node:worker_threads');
  const verifier = createSecretVerifier({
    startWorker: () => new Worker('throw new Error("broken")', { eval: true }),
  });
  t.teardown(() => verifier.close());
  const outcomes = await Promise.allSettled(
    ['a', 'b', 'c'].map((key) => verifier.verify(key, 'right', HASH)),
  );
  t.ok(outcomes.every((o) => o.status === 'rejected' && o.reason instanceof StoreUnavailableError));
});

void t.test('closing refuses waiting and later calls', async (t) => {
  const verifier = createSecretVerifier();
  const outcomes = Promise.allSettled(['a', 'b', 'c'].map((key) => verifier.verify(key, 'right', HASH)));
  await verifier.close();
  for (const outcome of await outcomes) {
    t.ok(outcome.status === 'rejected' && outcome.reason instanceof StoreUnavailableError);
  }
  await t.rejects(verifier.verify('d', 'right', HASH), StoreUnavailableError);
  await verifier.close();
});

void t.test('an idle thread does not keep a process alive, a busy one does', async (t) => {
  const path = join(t.testdir(), 'script.mts');
  const module = new URL('../../src/access/secret-verifier.ts', import.meta.url).href;
  writeFileSync(
    path,
    `import { createSecretVerifier } from '${module}';
    console.log(await createSecretVerifier().verify('a', 'right', '${HASH}'));`,
  );
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const { stdout } = await run(process.execPath, ['--import=./.ci/typescript.mjs', path], {
    cwd,
    timeout: 20_000,
  });
  t.equal(stdout, 'true\n');
});
