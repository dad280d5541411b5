/** A process with a dynalite for the service and its yardsticks, with its data in memory. */
import { startDynalite } from './dynamodb.ts';

const url = await startDynalite({ teardown: () => undefined });
console.log(JSON.stringify({ msg: 'listening', url }));
