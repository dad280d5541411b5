import { readdirSync, readFileSync } from 'node:fs';
import t from 'tap';
import { readConfig } from '../../src/config.ts';
import { tableDefinitions } from '../../src/store/dynamodb/table-definitions.ts';
import { permissionsOf, readTemplate, resourcesOf, templateNames } from '../support/templates.ts';

const STORE = 'src/store/dynamodb';

/** They make tables, and are not for the service in production. */
const MANAGEMENT = ['CreateTable', 'DescribeTimeToLive', 'UpdateTimeToLive'];

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
      return { ...definition, TableName: template.Parameters[Ref]?.Default };
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

void t.test('every parameter is described', (t) => {
  for (const name of templateNames()) {
    for (const [parameter, { Description }] of Object.entries(readTemplate(name).Parameters)) {
      t.ok(Description, `${name}: ${parameter}`);
    }
  }
  t.end();
});
