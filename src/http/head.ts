import { randomUUID } from 'node:crypto';
import type { FieldError } from './request-error.ts';

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
  let requestId: string | undefined;
  let contentType: string | undefined;
  let length: string | undefined;
  let transferEncoding: string | undefined;
  let authorization: string | undefined;
  let apiKey: string | undefined;
  let idempotencyKey: string | undefined;
  let host: string | undefined;
  let twice: string | undefined;
  let trailer = false;
  let accept: string | undefined;
  let acceptEncoding: string | undefined;
  let ifNoneMatch: string | undefined;
  headers.forEach((name, value) => {
    switch (name) {
      case 'x-request-id':
        requestId = value;
        break;
      case 'content-type':
        contentType = value;
        break;
      case 'host':
        if (host !== undefined) twice = name;
        host = value;
        break;
      case 'content-length':
        if (length !== undefined) twice = name;
        length = value;
        break;
      case 'transfer-encoding':
        if (transferEncoding !== undefined) twice = name;
        transferEncoding = value;
        break;
      case 'trailer':
        trailer = true;
        break;
      case 'authorization':
        if (authorization !== undefined) twice = name;
        authorization = value;
        break;
      case 'x-api-key':
        if (apiKey !== undefined) twice = name;
        apiKey = value;
        break;
      case 'idempotency-key':
        if (idempotencyKey !== undefined) twice = name;
        idempotencyKey = value;
        break;
      case 'accept':
        accept = value;
        break;
      case 'accept-encoding':
        acceptEncoding = value;
        break;
      case 'if-none-match':
        ifNoneMatch = value;
    }
  });
  return {
    requestId: requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : randomUUID(),
    contentLength: length === undefined ? undefined : Number(length),
    chunked: transferEncoding !== undefined,
    contentType,
    authorization,
    apiKey,
    idempotencyKey,
    accept,
    acceptEncoding,
    ifNoneMatch,
    ambiguous: findAmbiguity(twice, length, transferEncoding, trailer),
  };
}

function findAmbiguity(
  twice: string | undefined,
  length: string | undefined,
  transferEncoding: string | undefined,
  trailer: boolean,
): FieldError | undefined {
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
