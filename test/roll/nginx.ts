import { nginx } from '../support/balanced.ts';
import { rollSuite } from '../support/roll.ts';

rollSuite(nginx);
