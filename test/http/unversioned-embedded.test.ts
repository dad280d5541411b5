import t from 'tap';
import { idempotencyContract } from '../contracts/idempotency-contract.ts';
import { startDescribedApp } from '../support/described.ts';
import { unversionedContract } from '../contracts/unversioned-contract.ts';

unversionedContract(t, { start: startDescribedApp });
idempotencyContract(t, { start: startDescribedApp });
