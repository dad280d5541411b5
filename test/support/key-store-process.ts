/** The key store of an embedded data folder in a process of its own: `fork` it with the folder, then call by messages. */
import { once } from 'node:events';
import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { openEmbeddedStore } from '../../src/store/embedded/embedded-store.ts';
import type { KeyStore } from '../../src/store/key-store.ts';

interface Call {
  readonly id: number;
  readonly method: keyof KeyStore;
  readonly args: readonly unknown[];
}

interface Answer {
  readonly id: number;
  readonly result: unknown;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(process.argv[2] ?? '');

/** Opens the folder in a second process, beside its server. The process ends with the test. */
export async function keysInSecondProcess(t: Test, path: string): Promise<KeyStore> {
  const child = fork(fileURLToPath(import.meta.url), [path], {
    execArgv: ['--import=./.ci/typescript.mjs'],
    serialization: 'advanced',
  });
  t.teardown(async () => {
    child.disconnect();
    await once(child, 'exit');
  });
  await once(child, 'message');
  let lastId = 0;
  const waiting = new Map<number, (result: unknown) => void>();
  child.on('message', ({ id, result }: Answer) => {
    waiting.get(id)?.(result);
  });
  const call =
    (method: keyof KeyStore) =>
    (...args: unknown[]) =>
      new Promise((resolve) => {
        const id = ++lastId;
        waiting.set(id, resolve);
        child.send({ id, method, args } satisfies Call);
      });
  const methods = [
    'get',
    'getMany',
    'create',
    'list',
    'update',
    'touch',
  ] as const satisfies (keyof KeyStore)[];
  return Object.fromEntries(methods.map((method) => [method, call(method)])) as unknown as KeyStore;
}

async function serve(path: string): Promise<void> {
  const store = await openEmbeddedStore({
    path,
    now: () => Date.now() * 1000,
    eventTtl: 1e12,
    exclusive: false,
    log: console,
    onFatal: (error) => {
      throw error;
    },
  });
  process.on('message', ({ id, method, args }: Call) => {
    const methods = store.keys as unknown as Record<
      string,
      (...args: readonly unknown[]) => Promise<unknown>
    >;
    void methods[method]?.(...args).then((result) => process.send?.({ id, result } satisfies Answer));
  });
  process.on('disconnect', () => void store.close());
  process.send?.('open');
}
