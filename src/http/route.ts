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
}

interface RouteDefinition<Params extends TObject, Query extends TObject, Body extends TObject> {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** As in OpenAPI: `/v1/events/{event_id}`. A parameter takes one whole segment. */
  readonly path: string;
  readonly summary: string;
  /** Whether the route needs a key. Routes without one also answer HEAD. */
  readonly auth: boolean;
  /** Whether it answers with pages of events, which are made in turns with other work. */
  readonly paged?: true;
  readonly params?: Params;
  /** All optional; strings, or integers, which are read from their decimal form. */
  readonly query?: Query;
  readonly body?: Body;
  /** By status; null if there is no body. The contract adds the error replies. */
  readonly responses: Readonly<Record<number, TSchema | null>>;
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
  /** Every path that begins with these segments belongs to this contract, unknown paths too. Empty: all other paths. */
  readonly prefix: string;
  readonly routes: readonly Route[];
}
