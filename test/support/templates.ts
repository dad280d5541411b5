import { readdirSync, readFileSync } from 'node:fs';
import { parse, type ScalarTag, type CollectionTag } from 'yaml';

export const TEMPLATES = 'docs/deploy/aws';

/** A CloudFormation template, with its intrinsic functions in their long form: `{ Ref: 'Table' }`. */
export interface Template {
  readonly Parameters: Readonly<
    Record<string, { readonly Default?: unknown; readonly Description?: string }>
  >;
  readonly Resources: Readonly<Record<string, Resource>>;
  readonly Outputs?: Readonly<Record<string, { readonly Value: unknown }>>;
}

export interface Resource {
  readonly Type: string;
  readonly DeletionPolicy?: string;
  readonly UpdateReplacePolicy?: string;
  readonly Properties: Readonly<Record<string, unknown>>;
}

/** File names of all templates. */
export function templateNames(): string[] {
  return readdirSync(TEMPLATES).filter((name) => name.endsWith('.yaml'));
}

export function readTemplate(name: string): Template {
  return parse(readFileSync(`${TEMPLATES}/${name}`, 'utf8'), { customTags: TAGS }) as Template;
}

/** The resources of one type, by their names in the template. */
export function resourcesOf({ Resources }: Template, type: string): Map<string, Resource> {
  return new Map(Object.entries(Resources).filter(([, resource]) => resource.Type === type));
}

/** https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference.html */
const TAGS: (ScalarTag | CollectionTag)[] = [
  { tag: '!Ref', resolve: (text: string) => ({ Ref: text }) },
  { tag: '!Condition', resolve: (text: string) => ({ Condition: text }) },
  { tag: '!GetAtt', resolve: (text: string) => ({ 'Fn::GetAtt': text.split('.') }) },
  ...['Sub', 'ImportValue'].map((name) => ({
    tag: `!${name}`,
    resolve: (text: string) => ({ [`Fn::${name}`]: text }),
  })),
  ...['If', 'Equals', 'Not', 'And', 'Or', 'Join', 'Select'].map((name): CollectionTag => ({
    tag: `!${name}`,
    collection: 'seq',
    resolve: (seq) => ({ [`Fn::${name}`]: (seq as { toJSON(): unknown }).toJSON() }),
  })),
];

/** One thing that a policy allows: an action, such as `GetItem`, on a table or its index, such as `EventsTable`. */
export type Permission = `${string} on ${string}`;

/** Everything that a policy of `tables.yaml` allows, in order. An index is written as `EventsTable/index/inbox-index`. */
export function permissionsOf(template: Template, policy: string): Permission[] {
  const { PolicyDocument } = template.Resources[policy]?.Properties as {
    PolicyDocument: { Statement: { Effect: string; Action: string | string[]; Resource: unknown }[] };
  };
  return PolicyDocument.Statement.flatMap(({ Effect, Action, Resource }) => {
    if (Effect !== 'Allow') throw new Error(`a statement of ${policy} does not allow`);
    const places = [Resource].flat().map(placeOf);
    return [Action].flat().flatMap((action) => places.map((place): Permission => `${action} on ${place}`));
  }).toSorted();
}

/** @throws when it is not the ARN of a table or of an index: `*`, for example. */
function placeOf(resource: unknown): string {
  const { 'Fn::GetAtt': attribute, 'Fn::Sub': text } = resource as {
    'Fn::GetAtt'?: string[];
    'Fn::Sub'?: string;
  };
  if (attribute?.[1] === 'Arn') return attribute[0] ?? '';
  const [, table, index] = /^\$\{(\w+)\.Arn\}(\/index\/[\w-]+)$/.exec(text ?? '') ?? [];
  if (table !== undefined && index !== undefined) return table + index;
  throw new Error(`a policy must name a table or an index, not ${JSON.stringify(resource)}`);
}
