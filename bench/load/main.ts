/** A process of load: takes a job as JSON, prints what it measured as JSON. */
import { runAppends } from './append.ts';
import { runClosedLoop } from './closed.ts';
import { runColdKeys } from './cold-keys.ts';
import { runConsume } from './consume.ts';
import { runDrain } from './drain.ts';
import { runIdle } from './idle.ts';
import type { Call, Job } from './job.ts';
import { runFill, runSaturation } from './saturate.ts';
import { runSteady } from './steady.ts';
import type { Traffic } from './traffic.ts';
import { TRAFFIC } from './traffic.ts';
import { runWaiters } from './waiters.ts';

const job = JSON.parse(process.argv[2] ?? '') as Job;
process.stdout.write(JSON.stringify(await run(job)));

function run(job: Job): Promise<unknown> {
  switch (job.kind) {
    case 'closed':
      return runClosedLoop(job, trafficOf(job.traffic));
    case 'steady':
      return runSteady(job, trafficOf(job.traffic));
    case 'idle':
      return Promise.resolve(runIdle(job));
    case 'saturate':
      return runSaturation(job, requestOf(job.traffic));
    case 'fill':
      return runFill(job, requestOf('create-v1')).then(() => null);
    case 'drain':
      return runDrain(job);
    case 'consume':
      return runConsume(job);
    case 'wait':
      return runWaiters(job, trafficOf(job.traffic));
    case 'append':
      return runAppends(job);
    case 'cold-keys':
      return runColdKeys(job);
  }
}

function trafficOf(name: string): Traffic {
  const make = TRAFFIC[name];
  if (make === undefined) throw new Error(`there is no traffic ${name}`);
  return make();
}

function requestOf(name: string): Call {
  const { constant } = trafficOf(name);
  if (constant === undefined) throw new Error(`${name} is not one request`);
  return constant;
}
