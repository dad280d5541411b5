import t from 'tap';
import { startDescribedApp } from '../support/described.ts';
import { v1Contract } from '../contracts/v1-contract.ts';

v1Contract(t, { start: startDescribedApp });
