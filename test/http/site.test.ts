import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { request, type IncomingMessage } from 'node:http';
import { gunzipSync } from 'node:zlib';
import type { Test } from 'tap';
import t from 'tap';
import { createRateLimiter } from '../../src/access/rate-limiter.ts';
import { createDispatch } from '../../src/http/dispatch.ts';
import { route, type Contract } from '../../src/http/route.ts';
import { createServer } from '../../src/http/server.ts';
import { keep, makeContent } from '../../src/http/content.ts';
import { unversionedContract } from '../../src/http/unversioned/contract.ts';
import { startTestApp } from '../support/app.ts';
import { askAndReadNothing } from '../support/readers.ts';

interface Got {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

/** As it comes over the wire: `fetch` would unpack it, and send an `accept` of its own. */
async function get(url: string, headers: Record<string, string> = {}, method = 'GET'): Promise<Got> {
  const asked = request(url, { method, headers });
  asked.end();
  const [answer] = (await once(asked, 'response')) as [IncomingMessage];
  const body = Buffer.concat((await answer.toArray()) as Buffer[]);
  return { status: answer.statusCode, headers: answer.headers, body };
}

/** Where a page finds its file of this name. */
function assetOf(page: Got, name: string): string {
  const found = new RegExp(`\\./(assets/[^"]+/${name.replaceAll('.', '\\.')})"`).exec(page.body.toString());
  if (found?.[1] === undefined) throw new Error(`the page has no ${name}`);
  return `/${found[1]}`;
}

void t.test('/ is a page for who asks for HTML, and JSON for everybody else', async (t) => {
  const { url } = await startTestApp(t);
  const browsers = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8';
  for (const accept of [browsers, 'text/html', 'application/json, TEXT/HTML;q=0.5']) {
    const { status, headers, body } = await get(url, { accept });
    t.match({ status, type: headers['content-type'] }, { status: 200, type: 'text/html; charset=utf-8' });
    t.match(body.toString(), /^<!doctype html>/);
  }
  for (const accept of ['*/*', 'application/json', 'text/html;q=0', 'text/html-sandboxed']) {
    const { headers, body } = await get(url, { accept });
    t.equal(headers['content-type'], 'application/json; charset=utf-8');
    t.match(headers.vary, 'accept');
    t.match(JSON.parse(body.toString()), {
      links: { docs: '/docs', redoc: '/redoc', openapi: '/openapi.json' },
      paths: [{ method: 'GET', path: '/v1/health' }],
    });
  }
  t.equal((await get(url)).headers['content-type'], 'application/json; charset=utf-8', 'no accept at all');
});

void t.test('everything that a page loads is here, and may be kept for ever', async (t) => {
  const { url } = await startTestApp(t);
  for (const path of ['/', '/docs', '/redoc']) {
    const page = await get(url + path, { accept: 'text/html' });
    t.match(page.headers, {
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'content-security-policy': /default-src 'none'.*frame-ancestors 'none'/,
    });
    t.notMatch(page.headers['content-security-policy'], /unsafe|https?:|\*/, path);
    const loaded = [...page.body.toString().matchAll(/(?:src|rel="\w+" href)="([^"]+)"/g)];
    t.ok(loaded.length > 1);
    for (const [, reference = ''] of loaded) {
      const asset = await get(new URL(reference, url + path).href);
      t.equal(asset.status, 200, reference);
      t.match(asset.headers, {
        'cache-control': 'public, max-age=31536000, immutable',
        'content-type': /^(text\/(css|javascript); charset=utf-8|image\/svg\+xml)$/,
        'x-content-type-options': 'nosniff',
      });
    }
    t.notMatch(page.body.toString(), /<script(?! defer src=)|<style| style=| on\w+=/, 'nothing inline');
  }
});

void t.test('a browser that shows the document finds an icon', async (t) => {
  const { url } = await startTestApp(t);
  const { status, headers } = await get(`${url}/favicon.ico`);
  t.match({ status, type: headers['content-type'] }, { status: 200, type: 'image/svg+xml' });
});

void t.test('a file comes packed, plain, or not at all', async (t) => {
  const { url } = await startTestApp(t);
  const path = url + assetOf(await get(`${url}/docs`), 'swagger-ui.js');
  const original = readFileSync('node_modules/swagger-ui-dist/swagger-ui-bundle.js');
  const plain = await get(path);
  t.equal(plain.headers['content-encoding'], undefined);
  t.ok(plain.body.equals(original));
  for (const encoding of ['gzip', 'br, GZIP;q=0.5', 'deflate,gzip']) {
    const packed = await get(path, { 'accept-encoding': encoding });
    t.equal(packed.headers['content-encoding'], 'gzip', encoding);
    t.equal(packed.headers.vary, 'accept-encoding');
    t.not(packed.headers.etag, plain.headers.etag);
    t.ok(packed.body.length < original.length / 3);
    t.ok(gunzipSync(packed.body).equals(original));
  }
  for (const encoding of ['identity', 'gzip;q=0', 'gzip; q=0.000', 'br', 'gzipped']) {
    t.equal(
      (await get(path, { 'accept-encoding': encoding })).headers['content-encoding'],
      undefined,
      encoding,
    );
  }
  const head = await get(path, {}, 'HEAD');
  t.equal(head.body.length, 0);
  t.equal(head.headers['content-length'], String(original.length));
  t.equal(head.headers.etag, plain.headers.etag);

  const tag = String(plain.headers.etag);
  for (const known of [tag, `"other", W/${tag}`, '*']) {
    const again = await get(path, { 'if-none-match': known });
    t.match({ status: again.status, etag: again.headers.etag }, { status: 304, etag: tag }, known);
    t.equal(again.body.length, 0);
    t.equal(again.headers['cache-control'], plain.headers['cache-control']);
  }
  t.equal((await get(path, { 'if-none-match': '"other"' })).status, 200);
  const packedTag = `${tag.slice(0, -1)}-gzip"`;
  t.equal((await get(path, { 'if-none-match': packedTag })).status, 200, 'of the other form');
});

void t.test('what goes wrong has the form of the unversioned contract', async (t) => {
  const app = await startTestApp(t);
  for (const [method, path, status] of [
    ['GET', '/assets', 404],
    ['GET', '/assets/000000000000/site.css', 404],
    ['GET', '/docs/', 404],
    ['POST', '/docs', 405],
    ['DELETE', '/', 405],
  ] as const) {
    const answer = await app.request(method, path);
    t.match({ ...answer.json, code: answer.status }, { status, code: status, correlation_id: String });
  }
  t.equal((await get(`${app.url}/docs`, {}, 'PUT')).headers.allow, 'GET, HEAD');
});

/** A service with one file, of bytes that tell their place, which no buffer of the kernel takes at once. */
async function serveLargeFile(t: Test): Promise<{ url: string; file: Buffer }> {
  const file = Buffer.alloc(32 * 1024 * 1024);
  for (let place = 0; place < file.length; place += 4) file.writeUInt32BE(place, place);
  const contract: Contract = {
    ...unversionedContract({} as never),
    routes: [
      route({
        method: 'GET',
        path: '/file',
        operationId: 'file',
        summary: '',
        description: '',
        auth: false,
        responses: { 200: null },
        handle: () => ({ status: 200, body: file, contentType: 'application/octet-stream' }),
      }),
    ],
  };
  const access = {
    authenticator: { authenticate: () => 'unauthorized' as const },
    rateLimiter: createRateLimiter(),
  };
  const server = createServer({
    dispatch: createDispatch([contract], access),
    corsOrigins: [],
    readyPath: '/v1/ready',
    tls: null,
    onRequest: () => undefined,
    onResponse: () => undefined,
  });
  const port = await server.listen('127.0.0.1', 0);
  t.teardown(() => server.drain(0));
  return { url: `http://127.0.0.1:${String(port)}`, file };
}

void t.test('readers that do not read take nothing of the memory of replies', async (t) => {
  const { url, file } = await serveLargeFile(t);
  // Callers without a key may hold 64 MiB: two of these files, if they counted.
  const sockets = Array.from({ length: 20 }, () =>
    askAndReadNothing(url, 'GET /file HTTP/1.1\r\nHost: x\r\n\r\n'),
  );
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
  });
  await Promise.all(sockets.map((socket) => once(socket, 'readable')));
  for (const socket of sockets) t.match(String(socket.read(15)), 'HTTP/1.1 200 OK');
  const { status, headers, body } = await get(`${url}/file`);
  t.equal(status, 200);
  t.equal(headers['content-type'], 'application/octet-stream');
  t.ok(body.equals(file), 'every byte at its place');
});

void t.test('a content is made once, when it is asked for, and again after a failure', async (t) => {
  let made = 0;
  const content = keep(async () => {
    made += 1;
    if (made === 1) throw new Error('no such file');
    return makeContent('text/css', Buffer.from('a {}'));
  });
  t.equal(made, 0);
  await t.rejects(content(), { message: 'no such file' });
  const [first, second] = await Promise.all([content(), content()]);
  t.equal(first, second);
  t.equal(await content(), first);
  t.equal(made, 2);
});
