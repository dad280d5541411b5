import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { readConfig } from '../../src/config.ts';
import { INBOX_INDEX, tableDefinitions } from '../../src/store/dynamodb/table-definitions.ts';
import {
  permissionsOf,
  readTemplate,
  resourcesOf,
  templateNames,
  type Template,
} from '../support/templates.ts';

const STORE = 'src/store/dynamodb';

/** With the old index beside the new one, and without it. */
type Indexes = readonly [condition: string, both: readonly object[], one: readonly object[]];

/** They make tables, and are not for the service in production. */
const MANAGEMENT = ['CreateTable', 'DescribeTimeToLive', 'UpdateTable', 'UpdateTimeToLive'];

void t.test('the tables of the template are those of `npm run tables`', (t) => {
  const template = readTemplate('tables.yaml');
  const { tables } = readConfig({}).dynamodb;
  const made = [...resourcesOf(template, 'AWS::DynamoDB::Table').values()].map(
    ({ Properties, ...resource }) => {
      t.match(resource, { DeletionPolicy: 'Retain', UpdateReplacePolicy: 'Retain' });
      const {
        TimeToLiveSpecification,
        SSESpecification,
        PointInTimeRecoverySpecification,
        DeletionProtectionEnabled,
        ...definition
      } = Properties;
      t.same(TimeToLiveSpecification, { AttributeName: 'ttl', Enabled: true });
      t.same(SSESpecification, { SSEEnabled: true });
      t.same(PointInTimeRecoverySpecification, { PointInTimeRecoveryEnabled: true });
      t.same(DeletionProtectionEnabled, { Ref: 'DeletionProtection' });
      const { Ref } = definition['TableName'] as { Ref: string };
      const { GlobalSecondaryIndexes: all } = definition as {
        GlobalSecondaryIndexes?: { 'Fn::If': Indexes };
      };
      if (all === undefined) return { ...definition, TableName: template.Parameters[Ref]?.Default };
      const [condition, both, GlobalSecondaryIndexes] = all['Fn::If'];
      t.equal(condition, 'KeepsInboxIndex');
      t.match(both, [...GlobalSecondaryIndexes, { IndexName: INBOX_INDEX }]);
      return { ...definition, GlobalSecondaryIndexes, TableName: template.Parameters[Ref]?.Default };
    },
  );
  t.equal(template.Parameters['DeletionProtection']?.Default, 'true');
  t.same(made, tableDefinitions(tables));
  t.end();
});

void t.test('policies allow the operations that the source sends, and no other', (t) => {
  const template = readTemplate('tables.yaml');
  const sent = new Set(
    readdirSync(STORE).flatMap((file) =>
      [...readFileSync(`${STORE}/${file}`, 'utf8').matchAll(/new (\w+)Command\(/g)].map(([, name = '']) =>
        operationOf(name),
      ),
    ),
  );
  for (const name of MANAGEMENT) t.ok(sent.delete(name), `${name} is sent to make tables`);
  const allowed = new Set(
    ['ServicePolicy', 'OperatorPolicy'].flatMap((policy) =>
      permissionsOf(template, policy).map((permission) => /^dynamodb:(\w+) on /.exec(permission)?.[1]),
    ),
  );
  t.same([...allowed].toSorted(), [...sent].toSorted());
  t.end();
});

/** The document client names its commands a little shorter. */
function operationOf(command: string): string {
  return ['Get', 'Put', 'Update', 'Delete'].includes(command)
    ? `${command}Item`
    : command === 'BatchGet'
      ? 'BatchGetItem'
      : command;
}

const PLACES: Record<string, string> = {
  'the events table': 'EventsTable',
  'its index `lease-index`': 'EventsTable/index/lease-index',
  'its index `inbox-index`': 'EventsTable/index/inbox-index',
  'the claims table': 'ClaimsTable',
  'the keys table': 'KeysTable',
};

void t.test('docs/dynamodb.md lists what the policies allow', (t) => {
  const template = readTemplate('tables.yaml');
  const rows = tableOf('docs/dynamodb.md', 'people who manage keys');
  for (const [column, policy] of ['ServicePolicy', 'OperatorPolicy'].entries()) {
    const listed = rows.flatMap(([on = '', ...cells]) =>
      [...(cells[column] ?? '').matchAll(/`(\w+)`/g)].map(
        ([, action]) => `dynamodb:${String(action)} on ${String(PLACES[on])}`,
      ),
    );
    t.same(listed.toSorted(), permissionsOf(template, policy), policy);
  }
  t.end();
});

void t.test('docs/deployment.md and the template of ECS have the same numbers', (t) => {
  const template = readTemplate('ecs.yaml');
  const said = new Map(
    tableOf('docs/deployment.md', '`idle_timeout.timeout_seconds`').map(([setting = '', value = '']) => [
      setting.replaceAll('`', ''),
      value,
    ]),
  );
  const balancer = attributesOf(template, 'LoadBalancer', 'LoadBalancerAttributes');
  const group = attributesOf(template, 'TargetGroup', 'TargetGroupAttributes');
  const check = template.Resources['TargetGroup']?.Properties;
  const [container] = template.Resources['Task']?.Properties['ContainerDefinitions'] as Container[];
  const settings = Object.fromEntries(
    container?.Environment.map(({ Name, Value }) => [Name, Value]) ?? [],
  ) as Record<string, string>;
  const grace = Number(settings['SHUTDOWN_GRACE_SECONDS']);
  t.match(
    said.get('idle_timeout.timeout_seconds'),
    `${String(balancer['idle_timeout.timeout_seconds'])} or less`,
  );
  t.match(
    said.get('deregistration delay'),
    `${String(group['deregistration_delay.timeout_seconds'])} s, not 300`,
  );
  t.match(
    said.get('slow_start.duration_seconds'),
    `${group['slow_start.duration_seconds'] ?? '0'} (default)`,
  );
  t.equal(
    said.get('health check'),
    `\`${String(check?.['HealthCheckPath'])}\`, 200, interval ${String(check?.['HealthCheckIntervalSeconds'])} s, ` +
      `${String(check?.['UnhealthyThresholdCount'])} failures, ${String(check?.['HealthyThresholdCount'])} successes`,
  );
  t.equal(said.get('stopTimeout'), `${String(container?.StopTimeout)} s`);
  t.equal(grace, readConfig({}).shutdownGraceSeconds, 'the grace is the default, which the page assumes');
  t.equal(container?.StopTimeout, grace + 5, 'the page: 5 s more than the grace');
  t.ok(Number(balancer['idle_timeout.timeout_seconds']) < 7.5, 'less than a stop waits for idle connections');
  t.end();
});

void t.test('what replaces a container does not ask whether its store answers', (t) => {
  const [container] = readTemplate('ecs.yaml').Resources['Task']?.Properties[
    'ContainerDefinitions'
  ] as Container[];
  t.same(container?.HealthCheck.Command, ['CMD', 'triggers-api', 'health', '--live']);
  t.end();
});

void t.test('tasks may read one repository of images', (t) => {
  const { Policies } = readTemplate('ecs.yaml').Resources['ExecutionRole']?.Properties as {
    Policies: { PolicyDocument: { Statement: { Action: unknown; Resource: unknown }[] } }[];
  };
  const everything = Policies.flatMap(({ PolicyDocument }) => PolicyDocument.Statement).filter(
    ({ Resource }) => JSON.stringify(Resource).includes('*'),
  );
  t.same(
    everything.map(({ Action }) => Action),
    ['ecr:GetAuthorizationToken'],
  );
  t.end();
});

interface Container {
  readonly HealthCheck: { readonly Command: readonly string[] };
  readonly StopTimeout: number;
  readonly Environment: readonly { readonly Name: string; readonly Value: unknown }[];
}

function attributesOf(template: Template, resource: string, property: string): Record<string, string> {
  const attributes = template.Resources[resource]?.Properties[property] as { Key: string; Value: string }[];
  return Object.fromEntries(attributes.map(({ Key, Value }) => [Key, Value]));
}

/** The rows of the table that has this text, without its head. */
function tableOf(page: string, text: string): string[][] {
  const table = readFileSync(page, 'utf8')
    .split('\n\n')
    .find((part) => part.startsWith('|') && part.includes(text));
  const [, , ...rows] = table?.trim().split('\n') ?? [];
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

void t.test('every parameter is described', (t) => {
  for (const name of templateNames()) {
    for (const [parameter, { Description }] of Object.entries(readTemplate(name).Parameters)) {
      t.ok(Description, `${name}: ${parameter}`);
    }
  }
  t.end();
});
