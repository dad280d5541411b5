import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isUtf8 } from 'node:buffer';
import type { Test } from 'tap';
import type { GatewayEvent } from '../../src/lambda/gateway-call.ts';
import type { GatewayResult } from '../../src/lambda/gateway-result.ts';
import type { Outcome } from './lambda-runtime.ts';

/** Of a body with any other type, and of one that is no text, the function gets base64. */
const TEXT = /^(?:text\/|application\/(?:json|javascript|xml|[\w.-]+\+json))/i;

/**
 * A stand-in for an HTTP API of API Gateway with the stage `$default`, in payload format 2.0. It decodes paths, joins the
 * headers of one name, and answers 500 for a function that fails, as API Gateway does.
 *
 * @returns its URL.
 */
export async function startHttpApi(
  t: Test,
  invoke: (event: GatewayEvent) => Promise<Outcome>,
): Promise<string> {
  const server = createServer((request, response) => {
    // A function that cannot even be started is an error of API Gateway's, too.
    pass(request, response).catch((error: unknown) => response.writeHead(500).end(String(error)));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const event = toEvent(request, Buffer.concat(chunks));
    const outcome = event && (await invoke(event));
    if (outcome === undefined) response.writeHead(400).end('{"message":"Bad Request"}');
    else if ('error' in outcome) response.writeHead(500).end('{"message":"Internal Server Error"}');
    else write(response, JSON.parse(outcome.result) as GatewayResult);
  }
}

function write(
  response: ServerResponse,
  { statusCode, headers, body, isBase64Encoded }: GatewayResult,
): void {
  if (body === undefined) {
    response.writeHead(statusCode, headers).end();
    return;
  }
  const bytes = Buffer.from(body, isBase64Encoded === true ? 'base64' : 'utf8');
  response.writeHead(statusCode, { ...headers, 'content-length': bytes.length }).end(bytes);
}

/** Undefined for a path that cannot be decoded. */
function toEvent(request: IncomingMessage, body: Buffer): GatewayEvent | undefined {
  const [path = '', ...query] = (request.url ?? '').split('?');
  const headers: Record<string, string> = {};
  const cookies: string[] = [];
  for (let i = 0; i < request.rawHeaders.length; i += 2) {
    const name = request.rawHeaders[i]?.toLowerCase() ?? '';
    const value = request.rawHeaders[i + 1] ?? '';
    if (name === 'cookie') cookies.push(...value.split('; '));
    else headers[name] = headers[name] === undefined ? value : `${headers[name]},${value}`;
  }
  const asText = body.length === 0 || (TEXT.test(headers['content-type'] ?? '') && isUtf8(body));
  try {
    const event = {
      version: '2.0',
      routeKey: '$default',
      rawPath: decodeURIComponent(path),
      rawQueryString: query.join('?'),
      ...(cookies.length > 0 ? { cookies } : {}),
      headers: { ...headers, 'x-forwarded-for': '198.51.100.7', 'x-forwarded-proto': 'https' },
      requestContext: {
        stage: '$default',
        http: { method: request.method ?? '', path, protocol: 'HTTP/1.1', sourceIp: '198.51.100.7' },
      },
      ...(body.length > 0 ? { body: body.toString(asText ? 'utf8' : 'base64') } : {}),
      isBase64Encoded: !asText,
    } as const;
    return event;
  } catch {
    return undefined;
  }
}
