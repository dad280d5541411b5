import { Worker } from 'node:worker_threads';
import { StoreOverloadedError, StoreUnavailableError } from '../store/store-errors.ts';

/**
 * Checks secrets against their bcrypt hashes in a thread of its own. bcrypt's asynchronous functions run in libuv's pool, where
 * LMDB commits wait for the same four threads: 200 verifications at once made commits take seconds instead of 0.2 ms.
 */
export interface SecretVerifier {
  /**
   * Rejects with a `StoreOverloadedError` when too many wait already, and with a `StoreUnavailableError` when the thread died
   * during the verification or the verifier is closed.
   */
  verify(keyId: string, secret: string, hash: string): Promise<boolean>;
  /** Starts the thread early, so that the first key does not wait for it. Otherwise the first verification starts it. */
  warmUp(): void;
  /** Refuses what waits, and resolves when the thread has ended. */
  close(): Promise<void>;
}

/** A message to the thread. It answers each with a boolean, in order. */
export interface VerifyRequest {
  readonly secret: string;
  readonly hash: string;
}

export interface SecretVerifierOptions {
  /** At 15 ms each (cost 8) the last one in the queue waits 1.5 s. */
  readonly maxWaiting?: number;
  /** Key ids are public: a client that knows one must not be able to fill the queue with wrong secrets for it. */
  readonly maxWaitingPerKey?: number;
  readonly startWorker?: () => Worker;
}

export function createSecretVerifier({
  maxWaiting = 100,
  maxWaitingPerKey = 2,
  startWorker = startBcryptWorker,
}: SecretVerifierOptions = {}): SecretVerifier {
  const queue: Job[] = [];
  const waitingByKey = new Map<string, number>();
  let worker: Worker | undefined;
  let running: Job | undefined;
  let closed = false;

  /** The thread has one job at a time, so only that one is lost when the thread dies. */
  function next(): void {
    if (running) return;
    running = queue.shift();
    if (!running) {
      worker?.unref();
      return;
    }
    countWaiting(waitingByKey, running.keyId, -1);
    worker ??= start();
    // An idle thread does not keep the process alive; one that a request waits for does.
    worker.ref();
    worker.postMessage(running.request);
  }

  function start(): Worker {
    const started = startWorker();
    let cause: unknown;
    started.on('message', (valid: boolean) => {
      const job = running;
      running = undefined;
      job?.resolve(valid);
      next();
    });
    started.on('error', (error) => (cause = error));
    started.on('exit', () => {
      worker = undefined;
      const job = running;
      running = undefined;
      job?.reject(new StoreUnavailableError('The thread that verifies API keys ended', { cause }));
      if (!closed) next();
    });
    return started;
  }

  return {
    verify(keyId, secret, hash) {
      if (closed) return Promise.reject(new StoreUnavailableError('API keys are no longer verified'));
      if (queue.length >= maxWaiting || (waitingByKey.get(keyId) ?? 0) >= maxWaitingPerKey) {
        return Promise.reject(new StoreOverloadedError('Too many API keys wait to be verified'));
      }
      return new Promise((resolve, reject) => {
        queue.push({ keyId, request: { secret, hash }, resolve, reject });
        countWaiting(waitingByKey, keyId, 1);
        next();
      });
    },
    warmUp() {
      worker ??= start();
      if (!running) worker.unref();
    },
    async close() {
      closed = true;
      for (const job of queue.splice(0))
        job.reject(new StoreUnavailableError('API keys are no longer verified'));
      await worker?.terminate();
    },
  };
}

function countWaiting(waitingByKey: Map<string, number>, keyId: string, change: number): void {
  const count = (waitingByKey.get(keyId) ?? 0) + change;
  if (count === 0) waitingByKey.delete(keyId);
  else waitingByKey.set(keyId, count);
}

interface Job {
  readonly keyId: string;
  readonly request: VerifyRequest;
  readonly resolve: (valid: boolean) => void;
  readonly reject: (error: Error) => void;
}

export function startBcryptWorker(): Worker {
  return new Worker(new URL('./bcrypt-worker.mjs', import.meta.url), { name: 'bcrypt' });
}
