import t from 'tap';
import { startTestApp } from '../support/app.ts';
import { v1Contract } from '../contracts/v1-contract.ts';

v1Contract(t, { start: startTestApp });
