import { randomUUID } from 'node:crypto';
import type { FieldError } from './request-error.ts';
import { parseTraceparent, type Trace } from './traceparent.ts';

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** The headers that the service uses. */
export interface RequestHead {
  readonly requestId: string;
  /** Undefined if there is no `content-length` header. */
  readonly contentLength: number | undefined;
  readonly chunked: boolean;
  readonly contentType: string | undefined;
  readonly authorization: string | undefined;
  readonly apiKey: string | undefined;
  readonly idempotencyKey: string | undefined;
  /** What the client takes, and what it has. Of a header that comes more than once the last one counts. */
  readonly accept: string | undefined;
  readonly acceptEncoding: string | undefined;
  readonly ifNoneMatch: string | undefined;
  /** What `traceparent` says; undefined if it is not there, is invalid, or comes more than once. */
  readonly trace: Trace | undefined;
  /**
   * The header that makes it uncertain where the request ends or who sent it: it must be unique and is given twice, the length
   * of the body is given in two ways or in an unknown way, or something is announced behind the body. The parser takes one
   * meaning and a proxy may take another, which lets a client smuggle a request between the two: RFC 9112, section 6.3.
   */
  readonly ambiguous: FieldError | undefined;
}

const TWICE = 'is given more than once, or contradicts another header';

/** @param headers calls back with each header, names in lower case, in the order in which they came. */
export function readHead(headers: {
  forEach(callback: (name: string, value: string) => void): void;
}): RequestHead {
  const fields = new Fields();
  headers.forEach((name, value) => {
    fields.take(name, value);
  });
  const { requestId, length, transferEncoding, traceparent } = fields;
  return {
    requestId: requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : randomUUID(),
    contentLength: length === undefined ? undefined : Number(length),
    chunked: transferEncoding !== undefined,
    contentType: fields.contentType,
    authorization: fields.authorization,
    apiKey: fields.apiKey,
    idempotencyKey: fields.idempotencyKey,
    accept: fields.accept,
    acceptEncoding: fields.acceptEncoding,
    ifNoneMatch: fields.ifNoneMatch,
    trace: traceparent === undefined ? undefined : parseTraceparent(traceparent),
    ambiguous: findAmbiguity(fields),
  };
}

/** The values as they came. */
class Fields {
  requestId: string | undefined;
  contentType: string | undefined;
  length: string | undefined;
  transferEncoding: string | undefined;
  authorization: string | undefined;
  apiKey: string | undefined;
  idempotencyKey: string | undefined;
  host: string | undefined;
  /** The name of one that must be unique and is not. */
  twice: string | undefined;
  trailer = false;
  accept: string | undefined;
  acceptEncoding: string | undefined;
  ifNoneMatch: string | undefined;
  traceparent: string | undefined;

  take(name: string, value: string): void {
    switch (name) {
      case 'x-request-id':
        this.requestId = value;
        break;
      case 'content-type':
        this.contentType = value;
        break;
      case 'host':
        if (this.host !== undefined) this.twice = name;
        this.host = value;
        break;
      case 'content-length':
        if (this.length !== undefined) this.twice = name;
        this.length = value;
        break;
      case 'transfer-encoding':
        if (this.transferEncoding !== undefined) this.twice = name;
        this.transferEncoding = value;
        break;
      case 'trailer':
        this.trailer = true;
        break;
      case 'authorization':
        if (this.authorization !== undefined) this.twice = name;
        this.authorization = value;
        break;
      case 'x-api-key':
        if (this.apiKey !== undefined) this.twice = name;
        this.apiKey = value;
        break;
      case 'idempotency-key':
        if (this.idempotencyKey !== undefined) this.twice = name;
        this.idempotencyKey = value;
        break;
      case 'accept':
        this.accept = value;
        break;
      case 'accept-encoding':
        this.acceptEncoding = value;
        break;
      case 'if-none-match':
        this.ifNoneMatch = value;
        break;
      case 'traceparent':
        // Two of them are no valid header, and a list of two is not either.
        this.traceparent = this.traceparent === undefined ? value : '';
    }
  }
}

function findAmbiguity({ twice, length, transferEncoding, trailer }: Fields): FieldError | undefined {
  if (twice !== undefined) return { field: twice, message: TWICE };
  if (length !== undefined && transferEncoding !== undefined)
    return { field: 'content-length', message: TWICE };
  if (length === '') return { field: 'content-length', message: 'must not be empty' };
  // uWebSockets treats any value as chunked.
  if (transferEncoding !== undefined && transferEncoding.toLowerCase() !== 'chunked') {
    return { field: 'transfer-encoding', message: 'must be chunked and nothing else' };
  }
  // uWebSockets parses the fields behind the last chunk as the next request.
  return trailer ? { field: 'trailer', message: 'no fields are taken behind a body' } : undefined;
}
