import { Agent, request } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { Call, Target } from './job.ts';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** Of connections that are kept. */
export function createAgent(url: string, maxSockets = Infinity): Agent {
  return isTls(url)
    ? new TlsAgent({ keepAlive: true, maxSockets })
    : new Agent({ keepAlive: true, maxSockets });
}

/** One request; resolves with the whole answer. */
export function send(
  agent: Agent,
  { url, key }: Pick<Target, 'url' | 'key'>,
  { method, path, body }: Omit<Call, 'status'>,
): Promise<Answer> {
  const headers = { 'x-api-key': key, 'content-type': 'application/json' };
  const open = isTls(url) ? tlsRequest : request;
  return new Promise((resolve, reject) => {
    const outgoing = open(url + path, { agent, method, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => (text += chunk));
      response.on('end', () => {
        resolve({ status: response.statusCode ?? 0, body: text });
      });
      response.on('error', reject);
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

function isTls(url: string): boolean {
  return url.startsWith('https:');
}
