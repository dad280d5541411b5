import { randomUUID } from 'node:crypto';

const REQUEST_ID = /^[A-Za-z0-9._:-]{1,128}$/;

/** The headers that decide something. */
export interface RequestHead {
  readonly requestId: string;
  /** Undefined: no `content-length` header. */
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
   * A header that must stand alone stands twice, or the length of the body is given in two ways. The parser takes the
   * first, a proxy before us may take the last, and between the two a request can be smuggled: RFC 9112, section 6.3.
   */
  readonly ambiguous: string | undefined;
}

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
  let accept: string | undefined;
  let acceptEncoding: string | undefined;
  let ifNoneMatch: string | undefined;
  let ambiguous: string | undefined;
  headers.forEach((name, value) => {
    switch (name) {
      case 'x-request-id':
        requestId = value;
        break;
      case 'content-type':
        contentType = value;
        break;
      case 'content-length':
        if (length !== undefined) ambiguous = name;
        length = value;
        break;
      case 'transfer-encoding':
        if (transferEncoding !== undefined) ambiguous = name;
        transferEncoding = value;
        break;
      case 'authorization':
        if (authorization !== undefined) ambiguous = name;
        authorization = value;
        break;
      case 'x-api-key':
        if (apiKey !== undefined) ambiguous = name;
        apiKey = value;
        break;
      case 'idempotency-key':
        if (idempotencyKey !== undefined) ambiguous = name;
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
  const chunked = transferEncoding !== undefined;
  if (chunked && length !== undefined) ambiguous ??= 'content-length';
  return {
    requestId: requestId !== undefined && REQUEST_ID.test(requestId) ? requestId : randomUUID(),
    contentLength: length === undefined ? undefined : Number(length),
    chunked,
    contentType,
    authorization,
    apiKey,
    idempotencyKey,
    accept,
    acceptEncoding,
    ifNoneMatch,
    ambiguous,
  };
}
