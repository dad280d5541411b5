import type { Static, TObject, TSchema } from 'typebox';
import type { Principal } from '../access/authenticator.ts';
import type { ErrorCode, FieldError, RequestError } from './request-error.ts';
import type { RequestHead } from './head.ts';
import type { Reply } from './reply.ts';

/** The input of a handler: checked, and with the types of the route's schemas. */
export interface RouteRequest<Params, Query, Body> {
  readonly requestId: string;
  readonly head: RequestHead;
  /** On a route without `auth` it is nobody. */
  readonly principal: Principal;
  readonly params: Params;
  readonly query: Query;
  readonly body: Body;
  /** The body as it was sent; empty if there is none. */
  readonly bodyText: string;
  /** Of a route that is `controlled`. */
  readonly control: Control;
}

/** What a handler of a call for many items, or of one that takes long, may do about its request. */
export interface Control {
  /**
   * Counts so many requests more against the limit of the key, of which the call itself was one.
   *
   * @throws `RATE_LIMITED`, or a `VALIDATION_ERROR` if they are more than the key may ever send in a minute.
   */
  charge(requests: number): void;
  /**
   * Lets the reply take `ms` from now. To be called before the store is asked to change anything, because a 503 at the usual
   * deadline would say that nothing has been done.
   *
   * @returns false if there is nobody to answer any more: the request has had its 503, or the client has gone.
   */
  prolong(ms: number): boolean;
  /**
   * As `prolong`, for a reply that may come much later: the client, and what is between, see that it is on its way. After 4 s the
   * 200 begins, with a blank and then one every 4 s, which JSON allows before a value. From then on only the body can still be
   * chosen: a reply with another status becomes `empty`.
   *
   * @param gone is called once when the client goes away before it has been answered.
   * @returns false also where the transport has no such replies; nothing has changed then.
   */
  hold(ms: number, empty: () => string, gone: () => void): boolean;
  /** Whether the transport has replies that come much later. */
  readonly holds: boolean;
}

interface RouteDefinition<Params extends TObject, Query extends TObject, Body extends TObject> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** As in OpenAPI: `/v1/events/{event_id}`. A parameter takes one whole segment. */
  readonly path: string;
  /** Its name in the OpenAPI document, unique over all contracts: generators make method names of it. */
  readonly operationId: string;
  readonly summary: string;
  /** More than the summary says, in Markdown. */
  readonly description: string;
  /** Left out of the OpenAPI document: pages for people, and their parts. */
  readonly undescribed?: true;
  /** Whether the route needs a key. Routes without one also answer HEAD. */
  readonly auth: boolean;
  /** Whether it answers with pages of events, which are made in turns with other work. */
  readonly paged?: true;
  readonly params?: Params;
  /** All optional; strings, or integers, which are read from their decimal form. */
  readonly query?: Query;
  readonly body?: Body;
  /** Bytes that the body may have; absent: `BODY_LIMIT`. */
  readonly bodyLimit?: number;
  /** Whether the handler itself parses and checks `bodyText`: a large one, in turns with other work. `body` is then undefined. */
  readonly unparsed?: true;
  /** Whether the handler gets a `control`. */
  readonly controlled?: true;
  /** Request headers that this route alone reads, which the handler checks. */
  readonly headers?: TObject;
  /** By status; null if there is no body. The contract adds the error replies. */
  readonly responses: Readonly<Record<number, TSchema | null>>;
  /** Headers of the replies in `responses`. */
  readonly replyHeaders?: TObject;
  /** Content type of the replies in `responses`, where it is not JSON. */
  readonly replyType?: string;
  /** What the handler answers that went wrong, beyond what admission and the checks of the schemas answer. */
  readonly errors?: readonly ErrorCode[];
  /** For people who read the description. */
  readonly example?: { readonly body?: unknown; readonly reply?: unknown };
  readonly handle: (
    request: RouteRequest<Static<Params>, Static<Query>, Static<Body>>,
  ) => Reply | Promise<Reply>;
}

/** A route whose handler has been checked against its schemas, without their types. */
export interface Route extends Omit<RouteDefinition<TObject, TObject, TObject>, 'handle'> {
  readonly handle: (request: RouteRequest<unknown, unknown, unknown>) => Reply | Promise<Reply>;
}

/** Ties a handler to the types of its schemas. */
export function route<
  const Params extends TObject = TObject,
  const Query extends TObject = TObject,
  const Body extends TObject = TObject,
>(definition: RouteDefinition<Params, Query, Body>): Route {
  return definition as unknown as Route;
}

/** Whether a route also answers HEAD. */
export function takesHead({ method, auth }: Route): boolean {
  return method === 'GET' && !auth;
}

/** The form in which a contract answers errors. */
export interface ErrorForm {
  readonly statuses: Readonly<Record<ErrorCode, number>>;
  /** JSON text. */
  errorBody(error: RequestError, status: number, requestId: string): string;
  /** The error for path parameters that do not fit their schema. */
  invalidParams(details: readonly FieldError[]): RequestError;
}

/** One of the contracts that are served: its paths, its routes and the form of its errors. */
export interface Contract extends ErrorForm {
  readonly about: ContractDescription;
  /** Every path that begins with these segments belongs to this contract, unknown paths too. Empty: all other paths. */
  readonly prefix: string;
  readonly routes: readonly Route[];
}

/** What the OpenAPI document says of a contract. */
export interface ContractDescription {
  /** Of its tag. */
  readonly name: string;
  /** In Markdown. */
  readonly description: string;
  /** Names of schemas in the document begin with it, so that two contracts can have a schema of one name. */
  readonly schemaPrefix: string;
  /** By name: where these schemas stand in a reply or a request, the document refers to them. */
  readonly schemas: Readonly<Record<string, TSchema>>;
  /** Of what `errorBody` writes. */
  readonly errorSchema: TSchema;
}
