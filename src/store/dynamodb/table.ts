import {
  BatchGetCommand,
  DeleteCommand,
  GetCommand,
  PutCommand,
  QueryCommand,
  ScanCommand,
  UpdateCommand,
  type DeleteCommandInput,
  type DynamoDBDocumentClient,
  type GetCommandInput,
  type PutCommandInput,
  type QueryCommandInput,
  type QueryCommandOutput,
  type ScanCommandInput,
  type ScanCommandOutput,
  type ServiceInputTypes,
  type ServiceOutputTypes,
  type UpdateCommandInput,
} from '@aws-sdk/lib-dynamodb';
import type { ConditionalCheckFailedException } from '@aws-sdk/client-dynamodb';
import { unmarshall } from '@aws-sdk/util-dynamodb';
import { batchPut } from './batch-put.ts';
import { withRetries, type Deadline } from './deadline.ts';
import type { EventItem } from './event-item.ts';
import { failureOf, isConditionFailed } from './failure.ts';
import type { RequestOutcome, StoreObserver } from '../store-observer.ts';

/** An item as it was found, which need not be one that this service has written. */
export type FoundItem = Readonly<Record<string, unknown>>;

/**
 * One table, and the requests on it. Each takes the input of its operation in the DynamoDB API reference, without the table's name
 * and the kind of read, and rejects with the SDK's errors. All but `batchPut` are retried until the deadline (`withRetries`).
 */
export interface Table {
  readonly name: string;
  /** Consistent. */
  get(input: Input<GetCommandInput>, deadline: Deadline): Promise<FoundItem | undefined>;
  put(input: Input<PutCommandInput>, deadline: Deadline): Promise<WriteResult>;
  update(input: Input<UpdateCommandInput>, deadline: Deadline): Promise<WriteResult>;
  delete(input: Input<DeleteCommandInput>, deadline: Deadline): Promise<WriteResult>;
  query(input: Input<QueryCommandInput>, deadline: Deadline): Promise<QueryCommandOutput>;
  /** Consistent. */
  scan(input: Input<ScanCommandInput>, deadline: Deadline): Promise<ScanCommandOutput>;
  /** Consistent. Takes at most 100 keys. Keys in `unprocessed` were not read. */
  batchGet(keys: readonly FoundItem[], deadline: Deadline): Promise<BatchGetResult>;
  /** Makes one try, without conditions: a retry could overwrite later changes. Resolves with the items that were not put. */
  batchPut(items: readonly EventItem[], deadline: Deadline): Promise<readonly EventItem[]>;
}

type Input<T> = Omit<T, 'TableName' | 'ConsistentRead'>;

/** What became of a write, which may have had a condition. */
export type WriteResult =
  | {
      readonly written: true;
      /** What `ReturnValues` asked for. */
      readonly attributes: FoundItem | undefined;
    }
  | {
      readonly written: false;
      /**
       * The item that did not meet the condition. Undefined: there is none, `ReturnValuesOnConditionCheckFailure` did not ask for
       * it, or the engine does not return it (dynalite).
       */
      readonly found: FoundItem | undefined;
      /** An earlier try, whose answer was lost, may have been carried out. */
      readonly maybeWritten: boolean;
    };

export interface BatchGetResult {
  readonly items: readonly FoundItem[];
  readonly unprocessed: readonly FoundItem[];
}

/** @param observer is told of each try of each request. Without one, nothing is measured, and DynamoDB reports no units. */
export function openTable(
  client: DynamoDBDocumentClient,
  name: string,
  observer?: Pick<StoreObserver, 'requested'>,
): Table {
  const units = observer === undefined ? {} : ({ ReturnConsumedCapacity: 'TOTAL' } as const);
  const common = { TableName: name, ...units };
  const send = createSend(client, name, observer);

  function read<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    operation: string,
    command: Command<I, O>,
    deadline: Deadline,
  ): Promise<O> {
    return withRetries(() => send(operation, command, deadline), deadline);
  }

  async function write<
    I extends ServiceInputTypes,
    O extends ServiceOutputTypes & { Attributes?: FoundItem | undefined },
  >(operation: string, command: Command<I, O>, deadline: Deadline): Promise<WriteResult> {
    let maybeWritten = false;
    try {
      const { Attributes } = await withRetries((unsure) => {
        maybeWritten = unsure;
        return send(operation, command, deadline);
      }, deadline);
      return { written: true, attributes: Attributes };
    } catch (error) {
      if (!isConditionFailed(error)) throw error;
      const { Item } = error as ConditionalCheckFailedException;
      return { written: false, found: Item && unmarshall(Item), maybeWritten };
    }
  }

  return {
    name,
    async get(input, deadline) {
      const command = new GetCommand({ ...common, ConsistentRead: true, ...input });
      const { Item } = await read('GetItem', command, deadline);
      return Item;
    },
    put: (input, deadline) => write('PutItem', new PutCommand({ ...common, ...input }), deadline),
    update: (input, deadline) => write('UpdateItem', new UpdateCommand({ ...common, ...input }), deadline),
    delete: (input, deadline) => write('DeleteItem', new DeleteCommand({ ...common, ...input }), deadline),
    query: (input, deadline) => read('Query', new QueryCommand({ ...common, ...input }), deadline),
    scan: (input, deadline) =>
      read('Scan', new ScanCommand({ ...common, ConsistentRead: true, ...input }), deadline),

    async batchGet(keys, deadline) {
      const RequestItems = { [name]: { Keys: [...keys], ConsistentRead: true } };
      const { Responses, UnprocessedKeys } = await read(
        'BatchGetItem',
        new BatchGetCommand({ RequestItems, ...units }),
        deadline,
      );
      return { items: onlyTable(Responses) ?? [], unprocessed: onlyTable(UnprocessedKeys)?.Keys ?? [] };
    },

    async batchPut(items, deadline) {
      const { UnprocessedItems } = await send(
        'BatchWriteItem',
        batchPut(name, items, observer !== undefined),
        deadline,
      );
      const unprocessed = onlyTable(UnprocessedItems) ?? [];
      const left = new Set(unprocessed.map(({ PutRequest }) => PutRequest?.Item?.['event_id']?.S));
      return items.filter(({ event_id }) => left.has(event_id));
    },
  };
}

type Command<I extends ServiceInputTypes, O extends ServiceOutputTypes> = Parameters<
  typeof DynamoDBDocumentClient.prototype.send<I, O>
>[0];

/** Each try of each request passes through the returned function. */
function createSend(
  client: DynamoDBDocumentClient,
  table: string,
  observer: Pick<StoreObserver, 'requested'> | undefined,
) {
  return <I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    operation: string,
    command: Command<I, O>,
    { signal }: Deadline,
  ): Promise<O> => {
    const answer = client.send<I, O>(command, { abortSignal: signal });
    return observer === undefined ? answer : observed(answer, { table, operation }, observer);
  };
}

/** Passes the answer on, and tells the observer how it came. */
async function observed<O extends ServiceOutputTypes>(
  answer: Promise<O>,
  request: { readonly table: string; readonly operation: string },
  observer: Pick<StoreObserver, 'requested'>,
): Promise<O> {
  const sentAt = performance.now();
  const tell = (outcome: RequestOutcome, units: number, unprocessed: number) => {
    observer.requested({ ...request, milliseconds: performance.now() - sentAt, outcome, units, unprocessed });
  };
  try {
    const output = await answer;
    tell('ok', unitsOf(output), unprocessedOf(output));
    return output;
  } catch (error) {
    tell(isConditionFailed(error) ? 'condition_failed' : failureOf(error), 0, 0);
    throw error;
  }
}

/** A batch has a list of them, with one entry for each table. */
function unitsOf(output: ServiceOutputTypes): number {
  const { ConsumedCapacity: consumed } = output as {
    readonly ConsumedCapacity?: Units | readonly Units[];
  };
  const all = consumed === undefined ? [] : [consumed].flat();
  return all.reduce((sum, { CapacityUnits = 0 }) => sum + CapacityUnits, 0);
}

interface Units {
  readonly CapacityUnits?: number;
}

function unprocessedOf(output: ServiceOutputTypes): number {
  const { UnprocessedItems, UnprocessedKeys } = output as {
    readonly UnprocessedItems?: Readonly<Record<string, readonly unknown[]>>;
    readonly UnprocessedKeys?: Readonly<Record<string, { readonly Keys?: readonly unknown[] }>>;
  };
  return (onlyTable(UnprocessedItems)?.length ?? 0) + (onlyTable(UnprocessedKeys)?.Keys?.length ?? 0);
}

/**
 * The part of an answer to a batch that belongs to the one table in the request. It is not looked up by name, because the request
 * may contain an ARN and the answer the name.
 */
function onlyTable<T>(answer: Readonly<Record<string, T>> | undefined): T | undefined {
  return answer && Object.values(answer)[0];
}
