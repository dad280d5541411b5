import { once } from 'node:events';
import { createServer, request as sendRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Scope } from './dynamodb.ts';

/** What becomes of one request. Absent: it passes. */
export type Fault =
  /** Never answered, and never carried out. */
  | { readonly kind: 'hang' }
  /** The connection breaks before anything is carried out, after `before` has run. */
  | { readonly kind: 'reset'; readonly before?: () => Promise<unknown> }
  /** Carried out; the connection breaks instead of the answer, after `before` has run. */
  | { readonly kind: 'lost answer'; readonly before?: () => Promise<unknown> }
  /** Carried out; the answer never comes. */
  | { readonly kind: 'silent' }
  /** Carried out; the answer comes late. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Answered with an error of DynamoDB, not carried out. */
  | { readonly kind: 'error'; readonly status: number; readonly type: string }
  /** A batch write of which only the first `taken` are carried out. */
  | { readonly kind: 'partial'; readonly taken: number; readonly edit?: (answer: string) => string }
  /** A batch write of which the items that match, as JSON text, are not carried out. */
  | { readonly kind: 'unprocessed'; readonly matching: (item: string) => boolean }
  /** Not carried out, and answered with this. */
  | { readonly kind: 'answer'; readonly body: object }
  /** Carried out; the text of the answer is changed on its way. */
  | { readonly kind: 'edited'; readonly edit: (answer: string) => string };

export interface FaultyEndpoint {
  readonly endpoint: string;
  /** Requests so far, by operation. */
  readonly counts: Map<string, number>;
  /** Decides for each request; undefined lets it pass. */
  fault: (operation: string, body: string) => Fault | undefined;
  /** What answers say in `Date`, in milliseconds: absent the real time, null nothing. */
  dateMs?: () => number | null;
  /** Nobody listens any more, and open connections break. */
  goDown(): Promise<void>;
  /** Listens again, on the same port. */
  comeBack(): Promise<unknown>;
}

/** A proxy in front of an endpoint that speaks DynamoDB's protocol, which fails as it is told. */
export async function startFaultyEndpoint(scope: Scope, target: string): Promise<FaultyEndpoint> {
  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.destroy());
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  const port = await listen(0);
  const goDown = async () => {
    if (!server.listening) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  };
  scope.teardown(goDown);

  const proxy: FaultyEndpoint = {
    endpoint: `http://127.0.0.1:${String(port)}`,
    counts: new Map(),
    fault: () => undefined,
    goDown,
    comeBack: () => listen(port),
  };
  return proxy;

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const operation = String(request.headers['x-amz-target']).split('.')[1] ?? '';
    proxy.counts.set(operation, (proxy.counts.get(operation) ?? 0) + 1);
    const date = proxy.dateMs?.();
    if (date === null) response.sendDate = false;
    else if (date !== undefined) response.setHeader('date', new Date(date).toUTCString());
    const body = await read(request);
    const fault = proxy.fault(operation, body);
    switch (fault?.kind) {
      case 'hang':
        return;
      case 'reset':
        await fault.before?.();
        request.socket.destroy();
        return;
      case 'error':
        answer(response, fault.status, { __type: fault.type, message: 'as was asked for' });
        return;
      case 'partial': {
        const part = await forwardPart(target, request, body, (_, at) => at < fault.taken);
        answer(response, 200, fault.edit?.(JSON.stringify(part)) ?? part);
        return;
      }
      case 'unprocessed': {
        const isTaken = (item: unknown) => !fault.matching(JSON.stringify(item));
        answer(response, 200, await forwardPart(target, request, body, isTaken));
        return;
      }
      case 'answer':
        answer(response, 200, fault.body);
        return;
      default:
    }
    const { status, text } = await forward(target, request, body);
    if (fault?.kind === 'silent') return;
    if (fault?.kind === 'lost answer') {
      await fault.before?.();
      request.socket.destroy();
      return;
    }
    if (fault?.kind === 'slow') await new Promise((resolve) => setTimeout(resolve, fault.ms));
    answer(response, status, fault?.kind === 'edited' ? fault.edit(text) : text);
  }
}

async function forwardPart(
  target: string,
  request: IncomingMessage,
  body: string,
  isTaken: (put: unknown, at: number) => boolean,
): Promise<object> {
  const { RequestItems } = JSON.parse(body) as { RequestItems: Record<string, unknown[]> };
  const [[table, puts] = ['', []]] = Object.entries(RequestItems);
  const taken = puts.filter(isTaken);
  const left = puts.filter((put, at) => !isTaken(put, at));
  if (taken.length > 0) {
    await forward(target, request, JSON.stringify({ RequestItems: { [table]: taken } }));
  }
  return { UnprocessedItems: left.length > 0 ? { [table]: left } : {} };
}

async function read(stream: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

async function forward(target: string, { headers }: IncomingMessage, body: string) {
  const request = sendRequest(target, {
    method: 'POST',
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  return { status: response.statusCode ?? 500, text: await read(response) };
}

function answer(response: ServerResponse, status: number, body: object | string): void {
  response.writeHead(status, { 'content-type': 'application/x-amz-json-1.0' });
  response.end(typeof body === 'string' ? body : JSON.stringify(body));
}
