import type { Principal } from '../access/authenticator.ts';
import type { Call } from '../http/endpoint.ts';
import { readHead, type RequestHead } from '../http/head.ts';
import type { Headers } from '../http/reply.ts';

/**
 * The parts in use of a request as an HTTP API of Amazon API Gateway hands it over, in payload format 2.0:
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html.
 * Headers that came more than once are one, with commas. Cookies, which the service does not use, stand beside the headers.
 */
export interface GatewayEvent {
  readonly version: '2.0';
  /** Begins with the stage, unless it is `$default`. An HTTP API decodes it; a function URL leaves it as it was sent. */
  readonly rawPath: string;
  /** As it was sent, without the question mark; empty if there is none. */
  readonly rawQueryString: string;
  /** Names are in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly requestContext: {
    readonly stage: string;
    readonly http: { readonly method: string; readonly sourceIp: string };
  };
  readonly body?: string;
  readonly isBase64Encoded: boolean;
}

/**
 * API Gateway has read the body by itself, so what the client said about its length and form is settled: a `Transfer-Encoding`
 * that was passed on would describe nothing.
 */
const FRAMING = ['content-length', 'transfer-encoding', 'trailer'];

/** A request that came by an event instead of a socket. */
export class GatewayCall implements Call {
  readonly method: string;
  readonly path: string;
  readonly rawQuery: string;
  readonly head: RequestHead;
  /** Empty if there is none. */
  readonly body: Buffer;
  /** The client that talked to API Gateway, which it cannot choose itself, as it can `X-Forwarded-For`. */
  readonly clientAddress: string;
  readonly startedAt = performance.now();
  principal: Principal | undefined;
  authMs: number | undefined;
  handledAt: number | undefined;
  extraHeaders: Headers = [];
  replyBy: number | undefined;
  open = true;

  /** @throws a `TypeError` for an event of another kind. */
  constructor(event: GatewayEvent) {
    const { version, requestContext, headers } = event;
    if ((version as string | undefined) !== '2.0') {
      throw new TypeError('the function takes events of an HTTP API in payload format 2.0 only');
    }
    this.method = requestContext.http.method;
    this.path = pathOf(event);
    this.rawQuery = event.rawQueryString;
    this.clientAddress = requestContext.http.sourceIp;
    this.body = Buffer.from(event.body ?? '', event.isBase64Encoded ? 'base64' : 'utf8');
    this.head = readHead({
      forEach(callback) {
        for (const [name, value] of Object.entries(headers)) {
          if (!FRAMING.includes(name)) callback(name, value);
        }
      },
    });
  }
}

/** A `%` that stands for itself, because the path has been decoded, is encoded again, so that decoding it cannot fail. */
function pathOf({ rawPath, requestContext: { stage } }: GatewayEvent): string {
  const prefix = `/${stage}`;
  const path =
    rawPath === prefix || rawPath.startsWith(`${prefix}/`) ? rawPath.slice(prefix.length) : rawPath;
  return path.replaceAll(/%(?![0-9a-f]{2})/gi, '%25');
}
