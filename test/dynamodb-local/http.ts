import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { runDemo } from '../demo/demo.ts';
import { idempotencyContract } from '../contracts/idempotency-contract.ts';
import { sharedContract } from '../contracts/shared-contract.ts';
import { localEndpoint } from '../support/dynamodb.ts';
import { dynamoService } from '../support/dynamodb-service.ts';
import { unversionedContract } from '../contracts/unversioned-contract.ts';
import { v1Contract } from '../contracts/v1-contract.ts';
import { v1WaitContract } from '../contracts/v1-wait-contract.ts';

const service = dynamoService(() => Promise.resolve(localEndpoint()));

v1Contract(t, service);
v1WaitContract(t, service);
unversionedContract(t, service);
idempotencyContract(t, service);
sharedContract(t, (t) => service.startTwo(t));

void t.test('the demo: real webhooks in, back byte for byte, acknowledged', async (t) => {
  const { url } = await service.start(t);
  const result = await runDemo({ url, key: LOCAL_KEY, progress: () => undefined });
  t.ok(result.sent > 700);
  t.match(result, { identical: result.sent, acknowledged: result.sent, left: 0 });
});
