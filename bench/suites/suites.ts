import { batch } from './batch.ts';
import { clients } from './clients.ts';
import { consumers } from './consumers.ts';
import { create, createRate, createV1 } from './create.ts';
import { health } from './health.ts';
import { backlog, inbox, walk } from './inbox.ts';
import { ingest } from './ingest.ts';
import { keys } from './keys.ts';
import { mixed } from './mixed.ts';
import type { Suite } from './suite.ts';
import { tenants } from './tenants.ts';

/** In the order in which they are run and reported. */
export const SUITES: readonly Suite[] = [
  health,
  createV1,
  create,
  createRate,
  ingest,
  batch,
  consumers,
  tenants,
  inbox,
  walk,
  mixed,
  keys,
  clients,
  backlog,
];
