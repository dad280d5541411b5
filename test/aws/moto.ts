import { readFileSync } from 'node:fs';
import {
  CloudFormationClient,
  CreateStackCommand,
  DescribeStacksCommand,
} from '@aws-sdk/client-cloudformation';
import t, { type Test } from 'tap';
import { eventually } from '../../bench/harness/dynamodb.ts';
import { startTestApp } from '../support/app.ts';
import { startMoto } from '../support/aws-tools.ts';
import { TEMPLATES } from '../support/templates.ts';

const REGION = 'eu-central-1';
const CREDENTIALS = { accessKeyId: 'test', secretAccessKey: 'test' };

// moto's CloudFormation leaves out TTL, encryption and recovery of tables; templates.test.ts holds them.
void t.test('the service works on the tables of a stack, in a round of events', async (t) => {
  const endpoint = await startMoto(t);
  const outputs = await createStack(t, endpoint, 'tables');
  t.match(outputs['ServicePolicyArn'], /^arn:aws:iam::\d+:policy\//);
  const tables = ['EventsTable', 'ClaimsTable', 'KeysTable'].map((name) => outputs[name] ?? '');
  t.same(tables, ['triggers-api-events', 'triggers-api-claims', 'triggers-api-keys']);

  const app = await startTestApp(t, {
    STORE: 'dynamodb',
    DYNAMODB_ENDPOINT_URL: endpoint,
    DYNAMODB_CREATE_TABLES: 'false',
    AWS_REGION: REGION,
  });
  await eventually(async () => {
    const { status, text } = await app.request('GET', '/v1/ready');
    if (status !== 200) throw new Error(text);
  });
  const ids = [await app.send(), await app.send(), await app.send({ metadata: { idempotency_key: 'once' } })];
  const repeated = await app.send({ metadata: { idempotency_key: 'once' } });
  t.equal(repeated, ids[2], 'claims work');
  const inbox = await app.request('GET', '/v1/inbox?limit=100');
  t.same(
    (inbox.json['events'] as { event_id: string }[]).map(({ event_id }) => event_id),
    ids,
  );
  for (const id of ids) t.equal((await app.request('POST', `/v1/events/${id}/ack`)).status, 200);
  t.same((await app.request('GET', '/v1/inbox')).json['events'], []);
  t.equal((await app.request('DELETE', `/v1/events/${String(ids[0])}`)).status, 200);
  t.equal((await app.request('GET', `/v1/events/${String(ids[0])}`)).status, 404);
});

// lambda.yaml is linted only: moto makes no API of API Gateway's second version from a template.
void t.test('the stack of ECS is made on the tables', async (t) => {
  const endpoint = await startMoto(t);
  await createStack(t, endpoint, 'tables');
  const certificate = await askMoto(endpoint, 'acm', '{"DomainName":"api.example.com"}', {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'CertificateManager.RequestCertificate',
  });
  const network = await askMoto(endpoint, 'ec2', 'Action=DescribeSubnets&Version=2016-11-15', {
    'content-type': 'application/x-www-form-urlencoded',
  });
  const subnets = [...network.matchAll(/subnet-[0-9a-f]+(?=<)/g)].slice(0, 2).join(',');
  const outputs = await createStack(t, endpoint, 'ecs', {
    Image: '123456789012.dkr.ecr.eu-central-1.amazonaws.com/triggers-api:1',
    CertificateArn: (JSON.parse(certificate) as { CertificateArn: string }).CertificateArn,
    Vpc: /vpc-[0-9a-f]+/.exec(network)?.[0] ?? '',
    PublicSubnets: subnets,
    TaskSubnets: subnets,
  });
  t.ok(outputs['LoadBalancerName']);
});

/** What needs no client of its own. moto looks at the service in the signature, and not at the rest of it. */
async function askMoto(
  endpoint: string,
  service: string,
  body: string,
  headers: Record<string, string>,
): Promise<string> {
  const authorization = `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`;
  const response = await fetch(endpoint, { method: 'POST', body, headers: { ...headers, authorization } });
  return response.text();
}

/** Creates the stack `triggers-api-<name>` of a template. Gives its outputs. */
async function createStack(
  t: Test,
  endpoint: string,
  name: string,
  parameters: Record<string, string> = {},
): Promise<Record<string, string>> {
  const client = new CloudFormationClient({ region: REGION, endpoint, credentials: CREDENTIALS });
  const StackName = `triggers-api-${name}`;
  try {
    await client.send(
      new CreateStackCommand({
        StackName,
        TemplateBody: readFileSync(`${TEMPLATES}/${name}.yaml`, 'utf8'),
        Capabilities: ['CAPABILITY_IAM'],
        Parameters: Object.entries(parameters).map(([ParameterKey, ParameterValue]) => ({
          ParameterKey,
          ParameterValue,
        })),
      }),
    );
    const { Stacks } = await client.send(new DescribeStacksCommand({ StackName }));
    t.equal(Stacks?.[0]?.StackStatus, 'CREATE_COMPLETE', `${name}.yaml`);
    return Object.fromEntries(
      (Stacks?.[0]?.Outputs ?? []).map(({ OutputKey = '', OutputValue = '' }) => [OutputKey, OutputValue]),
    );
  } finally {
    client.destroy();
  }
}
