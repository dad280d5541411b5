import t from 'tap';
import { idempotencyContract } from './idempotency-contract.ts';
import { startTestApp } from './support/app.ts';
import { unversionedContract } from './unversioned-contract.ts';

unversionedContract(t, { start: startTestApp });
idempotencyContract(t, { start: startTestApp });
