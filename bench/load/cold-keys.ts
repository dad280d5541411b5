import { setTimeout as sleep } from 'node:timers/promises';
import type { Call, Measurement, Target } from './job.ts';
import { createMeter } from './measuring.ts';
import { createAgent, send } from './send.ts';
import { CREATE, HEALTH } from './traffic.ts';

export interface ColdKeys extends Target {
  /** Never used before. */
  readonly coldKeys: readonly string[];
}

/** Who meets what while all cold keys come at once. */
export interface ColdMeasurements {
  /** From the first attempt with a key to its event being stored; a 503 is tried again, as clients are told. */
  readonly firstUse: Measurement;
  readonly health: Measurement;
  /** The same crowd once more, now that its keys are known. */
  readonly again: Measurement;
  /** Events of a client whose key is known. */
  readonly known: Measurement;
}

const RETRY_MS = 200;

/** All cold keys send one event each at the same moment; two clients measure meanwhile what the others notice. */
export async function runColdKeys(job: ColdKeys): Promise<ColdMeasurements> {
  const agent = createAgent(job.url, job.coldKeys.length + 2);
  const ask = (call: Call, key: string) => send(agent, { url: job.url, key }, call);
  const meters = {
    firstUse: createMeter(job),
    health: createMeter(job),
    known: createMeter(job),
    again: createMeter(job),
  };
  let verifying = true;
  const meanwhile = async (meter: keyof typeof meters, call: Call): Promise<void> => {
    while (verifying) {
      const start = performance.now();
      const { status, body } = await ask(call, job.key);
      meters[meter].answered(performance.now() - start, status === call.status ? undefined : body);
    }
  };
  const use = async (meter: keyof typeof meters, key: string): Promise<void> => {
    const start = performance.now();
    for (;;) {
      const { status, body } = await ask(CREATE, key);
      if (status === 503) await sleep(RETRY_MS);
      else {
        meters[meter].answered(performance.now() - start, status === 201 ? undefined : body);
        return;
      }
    }
  };
  for (let i = 0; i < 200; i++) await Promise.all([ask(CREATE, job.key), ask(HEALTH, job.key)]);

  const { firstUse, health, known, again } = meters;
  for (const meter of [firstUse, health, known]) meter.begin();
  const measured = [meanwhile('health', HEALTH), meanwhile('known', CREATE)];
  await Promise.all(job.coldKeys.map((key) => use('firstUse', key)));
  verifying = false;
  await Promise.all(measured);
  const cold = { firstUse: firstUse.end(), health: health.end(), known: known.end() };

  again.begin();
  await Promise.all(job.coldKeys.map((key) => use('again', key)));
  agent.destroy();
  return { ...cold, again: again.end() };
}
