import { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { DeleteCommand, GetCommand, PutCommand, QueryCommand, UpdateCommand } from '@aws-sdk/lib-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';

export type Item = Readonly<Record<string, unknown>>;
export type Command = DeleteCommand | GetCommand | PutCommand | QueryCommand | UpdateCommand;

export interface MemoryTables {
  /** By table and key. */
  readonly items: ReadonlyMap<string, ReadonlyMap<string, Item>>;
  /** Carries out one request, whole or not at all, and answers as DynamoDB does. */
  carryOut(command: Command): object;
}

/**
 * The part of DynamoDB that the event store needs for single events, synchronous and in memory. Indexes follow at once.
 *
 * @param keys the key attribute of each table.
 * @param returnsItem whether a failed condition returns the item, as the service does and dynalite does not.
 */
export function createMemoryTables(
  keys: Readonly<Record<string, string>>,
  returnsItem: boolean,
): MemoryTables {
  const items = new Map(Object.keys(keys).map((name) => [name, new Map<string, Item>()]));

  const tableOf = ({ TableName = '' }: { TableName?: string | undefined }) => {
    const table = items.get(TableName);
    const key = keys[TableName];
    if (table === undefined || key === undefined) throw new Error(`no table ${TableName}`);
    return { table, key };
  };

  const demand = (input: Expressions & { ConditionExpression?: string | undefined }, item?: Item) => {
    if (input.ConditionExpression === undefined || holds(input.ConditionExpression, input, item ?? {}))
      return;
    throw new ConditionalCheckFailedException({
      message: 'The conditional request failed',
      $metadata: { httpStatusCode: 400 },
      ...(returnsItem && item ? { Item: marshall(item) } : {}),
    });
  };

  return {
    items,
    carryOut(command) {
      const { table, key } = tableOf(command.input);
      if (command instanceof PutCommand) {
        const { input } = command;
        const id = String(input.Item?.[key]);
        demand(input, table.get(id));
        table.set(id, { ...input.Item });
        return {};
      }
      if (command instanceof QueryCommand) {
        const { input } = command;
        const found = [...table.values()]
          .filter((item) => holds(input.KeyConditionExpression, input, item))
          .sort((a, b) => (String(a[INBOX_ORDER]) < String(b[INBOX_ORDER]) ? -1 : 1));
        const { Limit = Infinity } = input;
        const Items = found.slice(0, Limit).map((item) => projected(input, item));
        return { Items, Count: Items.length, ScannedCount: Items.length };
      }
      const id = String(command.input.Key?.[key]);
      const item = table.get(id);
      if (command instanceof GetCommand) {
        return item === undefined ? {} : { Item: projected(command.input, item) };
      }
      demand(command.input, item);
      if (command instanceof DeleteCommand) {
        table.delete(id);
        return {};
      }
      const changed = updated(command.input.UpdateExpression, command.input, { [key]: id, ...item });
      table.set(id, changed);
      return command.input.ReturnValues === 'ALL_NEW' ? { Attributes: changed } : {};
    },
  };
}

/** The sort key of the one index there is. */
const INBOX_ORDER = 'inbox_position';

function projected(
  {
    ProjectionExpression: expression,
    ExpressionAttributeNames: aliases,
  }: Expressions & { ProjectionExpression?: string | undefined },
  item: Item,
): Item {
  const names = expression?.split(', ').map((name) => aliases?.[name] ?? name);
  return names ? Object.fromEntries(Object.entries(item).filter(([name]) => names.includes(name))) : item;
}

interface Expressions {
  readonly ExpressionAttributeNames?: Record<string, string> | undefined;
  readonly ExpressionAttributeValues?: Record<string, unknown> | undefined;
}

function operand(
  text: string | undefined,
  { ExpressionAttributeNames: names, ExpressionAttributeValues: values }: Expressions,
  item: Item,
): unknown {
  if (text === undefined) throw new Error('an expression ends too early');
  if (text.startsWith(':')) return values?.[text];
  return item[text.startsWith('#') ? String(names?.[text]) : text];
}

/** `OR`, `AND`, parentheses, comparisons, and the functions that ask whether an attribute is there. */
function holds(expression: string | undefined, input: Expressions, item: Item): boolean {
  const tokens = expression?.match(/<=|[=>()]|[#:]?\w+/g) ?? [];
  let at = 0;

  const primary = (): boolean => {
    const token = tokens[at++];
    if (token === '(') {
      const inner = either();
      at++;
      return inner;
    }
    if (token === 'attribute_exists' || token === 'attribute_not_exists') {
      const there = operand(tokens[at + 1], input, item) !== undefined;
      at += 3;
      return there === (token === 'attribute_exists');
    }
    const left = operand(token, input, item);
    const comparison = tokens[at++];
    const right = operand(tokens[at++], input, item);
    // A missing attribute, or one of another type, matches no comparison.
    if (left === undefined || typeof left !== typeof right) return false;
    if (comparison === '=') return left === right;
    const [a, b] = [left as number, right as number];
    return comparison === '>' ? a > b : a <= b;
  };
  const both = (): boolean => {
    let result = primary();
    for (; tokens[at] === 'AND'; result = primary() && result) at++;
    return result;
  };
  const either = (): boolean => {
    let result = both();
    for (; tokens[at] === 'OR'; result = both() || result) at++;
    return result;
  };

  const result = either();
  if (at !== tokens.length) throw new Error(`not understood: ${String(expression)}`);
  return result;
}

/** `SET a = b, … REMOVE c, …` */
function updated(expression: string | undefined, input: Expressions, item: Item): Item {
  const parts = /^SET (.*) REMOVE (.*)$/.exec(expression ?? '');
  if (parts === null) throw new Error(`not understood: ${String(expression)}`);
  const nameOf = (text = '') => input.ExpressionAttributeNames?.[text] ?? text;
  const assigned = (parts[1] ?? '').split(', ').map((assignment): [string, unknown] => {
    const [name, value] = assignment.split(' = ');
    return [nameOf(name), operand(value, input, item)];
  });
  const removed = new Set((parts[2] ?? '').split(', ').map(nameOf));
  const kept = Object.entries(item).filter(([name]) => !removed.has(name));
  return Object.fromEntries([...kept, ...assigned]);
}
