import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import openapi, { astToString } from 'openapi-typescript';
import type { Test } from 'tap';
import t from 'tap';

const run = promisify(execFile);

/** Compiles when what the document promises is what the client reads, and what the client sends is what the document takes. */
const COMPARISON = `
import type { components, operations } from './openapi.d.ts';
import type * as wire from '${resolve('src/client/wire.ts')}';
import type { ErrorCode, FieldError } from '${resolve('src/client/error.ts')}';

type Schemas = components['schemas'];
type Reply<Name extends keyof operations, Status extends number> =
  operations[Name]['responses'] extends Record<Status, { content: { 'application/json': infer Body } }> ? Body : never;
type Sent<Name extends keyof operations> =
  operations[Name] extends { requestBody: { content: { 'application/json': infer Body } } } ? Body : never;
/** True where both have the same members, so that nothing of the document is missing in the client. */
type SameMembers<A, B> = [keyof A, keyof B] extends [keyof B, keyof A] ? true : never;
type Subset<Part, Whole> = Part extends Whole ? true : never;

declare function same<A, B>(yes: SameMembers<A, B>): void;
declare function fits<Part, Whole>(yes: Subset<Part, Whole>): void;

fits<Reply<'createEvent', 201>, wire.WireCreated>(true);
fits<Reply<'getEvent', 200>, wire.WireEvent>(true);
fits<Reply<'getInbox', 200>, wire.WirePage>(true);
fits<Reply<'acknowledgeEvent', 200>, wire.WireAcknowledged>(true);
fits<Reply<'deleteEvent', 200>, wire.WireDeleted>(true);
fits<Reply<'createEvents', 207>, wire.WireMany<wire.WireCreatedItem>>(true);
fits<Reply<'acknowledgeEvents', 207>, wire.WireMany<wire.WireAcknowledgedItem>>(true);
same<Reply<'createEvents', 200>['results'][number], wire.WireCreatedItem>(true);
same<Reply<'acknowledgeEvents', 200>['results'][number], wire.WireAcknowledgedItem>(true);
same<NonNullable<Reply<'createEvents', 200>['results'][number]['error']>, wire.WireItemError>(true);
same<Reply<'acknowledgeEvents', 200>['results'][number]['outcome'], wire.WireAcknowledgedItem['outcome']>(true);
fits<Reply<'leaseEvents', 200>, wire.WireLeases>(true);
same<Reply<'leaseEvents', 200>, wire.WireLeases & { request_id: string }>(true);
same<Reply<'leaseEvents', 200>['events'][number], wire.WireLeasedEvent>(true);
same<Reply<'leaseEvents', 200>['events'][number]['lease'], wire.WireLease>(true);
same<Reply<'leaseEvents', 200>['backlog'], wire.WireLeases['backlog']>(true);
fits<Reply<'settleLeases', 207>, wire.WireMany<wire.WireSettledItem>>(true);
same<Reply<'settleLeases', 200>['results'][number], wire.WireSettledItem>(true);
fits<Reply<'getQuarantine', 200>, wire.WirePage<wire.WireQuarantinedEvent>>(true);
same<Reply<'getQuarantine', 200>['events'][number], wire.WireQuarantinedEvent>(true);
fits<Reply<'redriveEvents', 207>, wire.WireMany<wire.WireRedrivenItem>>(true);
same<Reply<'redriveEvents', 200>['results'][number], wire.WireRedrivenItem>(true);
fits<Reply<'getHealth', 200>, wire.Health>(true);
same<Reply<'getInbox', 200>['events'][number], wire.WireInboxEvent>(true);
same<Reply<'getEvent', 200>, wire.WireEvent & { request_id: string }>(true);
same<Reply<'getHealth', 200>, wire.Health>(true);

fits<wire.WireNewEvent & { payload: Sent<'createEvent'>['payload'] }, Sent<'createEvent'>>(true);
same<Sent<'createEvent'>, wire.WireNewEvent>(true);
same<Sent<'leaseEvents'>, wire.WireLeaseCall>(true);
same<Sent<'settleLeases'>, wire.WireSettle>(true);
same<NonNullable<Sent<'settleLeases'>['release']>[number], NonNullable<wire.WireSettle['release']>[number]>(true);
same<NonNullable<Sent<'settleLeases'>['reject']>[number], NonNullable<wire.WireSettle['reject']>[number]>(true);
same<NonNullable<Sent<'settleLeases'>['extend']>[number], NonNullable<wire.WireSettle['extend']>[number]>(true);
same<Sent<'redriveEvents'>, wire.WireRedrive>(true);
same<Known<Schemas['V1Metadata']>, Known<wire.Metadata>>(true);
type Known<T> = { [K in keyof T as string extends K ? never : K]: T[K] };

type Query = NonNullable<operations['getInbox']['parameters']['query']>;
fits<{ [K in keyof wire.WireQuery]: Exclude<wire.WireQuery[K], undefined> }, Query>(true);
same<Omit<Query, 'wait_seconds'>, wire.WireQuery>(true);

type WireError = Schemas['V1ErrorBody']['error'];
fits<WireError['code'], ErrorCode>(true);
fits<NonNullable<WireError['details']>[number], FieldError>(true);
same<WireError, { code: 1; message: 1; details: 1; request_id: 1 }>(true);
`;

/** The lines of the comparison that do not hold for a document, or whatever else TypeScript says. */
async function disagreement(t: Test, document: string): Promise<string[]> {
  const folder = t.testdir();
  const types = await openapi(document, { emptyObjectsUnknown: true, defaultNonNullable: false });
  writeFileSync(join(folder, 'openapi.d.ts'), astToString(types));
  writeFileSync(join(folder, 'comparison.ts'), COMPARISON);
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: resolve('tsconfig.json'),
      compilerOptions: {
        noUnusedLocals: false,
        incremental: false,
        rewriteRelativeImportExtensions: false,
        lib: ['es2023', 'dom'],
        types: [],
      },
      include: ['comparison.ts'],
    }),
  );
  const tsc = resolve('node_modules/typescript/bin/tsc');
  const complaints = await run(process.execPath, [tsc, '-p', folder]).then(
    () => '',
    (error: unknown) => (error as { stdout: string }).stdout,
  );
  const lines = COMPARISON.split('\n');
  return complaints
    .split('\n')
    .filter((complaint) => complaint !== '')
    .map((complaint) => lines[Number(/comparison\.ts\((\d+),/.exec(complaint)?.[1]) - 1] ?? complaint);
}

const DOCUMENT = readFileSync('docs/openapi.json', 'utf8');

void t.test('the types of the client are those of the OpenAPI document', async (t) => {
  t.same(await disagreement(t, DOCUMENT), []);
});

void t.test('a member that is called otherwise is noticed wherever it is', async (t) => {
  const found = await disagreement(t, DOCUMENT.replaceAll('"event_type"', '"type_of_event"'));
  for (const part of [
    "fits<Reply<'getEvent'",
    "fits<Reply<'getInbox'",
    'fits<wire.WireNewEvent',
    'same<Omit<Query',
  ]) {
    t.ok(
      found.some((line) => line.startsWith(part)),
      part,
    );
  }
});
