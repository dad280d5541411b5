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
import { isConditionFailed } from './failure.ts';

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

export function openTable(client: DynamoDBDocumentClient, name: string): Table {
  const TableName = name;

  /** Each try of each request passes here. This is the place to count and time them. */
  function send<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: Command<I, O>,
    { signal }: Deadline,
  ): Promise<O> {
    return client.send<I, O>(command, { abortSignal: signal });
  }

  function read<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
    command: Command<I, O>,
    deadline: Deadline,
  ): Promise<O> {
    return withRetries(() => send(command, deadline), deadline);
  }

  async function write<
    I extends ServiceInputTypes,
    O extends ServiceOutputTypes & { Attributes?: FoundItem | undefined },
  >(command: Command<I, O>, deadline: Deadline): Promise<WriteResult> {
    let maybeWritten = false;
    try {
      const { Attributes } = await withRetries((unsure) => {
        maybeWritten = unsure;
        return send(command, deadline);
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
      const { Item } = await read(new GetCommand({ TableName, ConsistentRead: true, ...input }), deadline);
      return Item;
    },
    put: (input, deadline) => write(new PutCommand({ TableName, ...input }), deadline),
    update: (input, deadline) => write(new UpdateCommand({ TableName, ...input }), deadline),
    delete: (input, deadline) => write(new DeleteCommand({ TableName, ...input }), deadline),
    query: (input, deadline) => read(new QueryCommand({ TableName, ...input }), deadline),
    scan: (input, deadline) => read(new ScanCommand({ TableName, ConsistentRead: true, ...input }), deadline),

    async batchGet(keys, deadline) {
      const RequestItems = { [name]: { Keys: [...keys], ConsistentRead: true } };
      const { Responses, UnprocessedKeys } = await read(new BatchGetCommand({ RequestItems }), deadline);
      return { items: onlyTable(Responses) ?? [], unprocessed: onlyTable(UnprocessedKeys)?.Keys ?? [] };
    },

    async batchPut(items, deadline) {
      const { UnprocessedItems } = await send(batchPut(name, items), deadline);
      const unprocessed = onlyTable(UnprocessedItems) ?? [];
      const left = new Set(unprocessed.map(({ PutRequest }) => PutRequest?.Item?.['event_id']?.S));
      return items.filter(({ event_id }) => left.has(event_id));
    },
  };
}

type Command<I extends ServiceInputTypes, O extends ServiceOutputTypes> = Parameters<
  typeof DynamoDBDocumentClient.prototype.send<I, O>
>[0];

/**
 * The part of an answer to a batch that belongs to the one table in the request. It is not looked up by name, because the request
 * may contain an ARN and the answer the name.
 */
function onlyTable<T>(answer: Readonly<Record<string, T>> | undefined): T | undefined {
  return answer && Object.values(answer)[0];
}
