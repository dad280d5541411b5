import t from 'tap';
import { idempotencyContract } from '../contracts/idempotency-contract.ts';
import { startTestApp } from '../support/app.ts';
import { unversionedContract } from '../contracts/unversioned-contract.ts';

unversionedContract(t, { start: startTestApp });
idempotencyContract(t, { start: startTestApp });
