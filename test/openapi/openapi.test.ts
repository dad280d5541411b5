import { readFileSync } from 'node:fs';
import t from 'tap';
import { takesHead, type Contract } from '../../src/http/route.ts';
import { openApiDocument } from '../../src/http/openapi/document.ts';
import { unversionedContract } from '../../src/http/unversioned/contract.ts';
import { v1Contract } from '../../src/http/v1/contract.ts';
import { startTestApp } from '../support/app.ts';
import type { Document } from '../support/described.ts';

/** Their route tables; nothing of them is called. */
const tables: readonly Contract[] = [v1Contract({} as never), unversionedContract({} as never)];

void t.test('docs/openapi.json is what is served (npm run openapi writes it)', async (t) => {
  const app = await startTestApp(t);
  const served = await app.request('GET', '/openapi.json', undefined, { 'x-api-key': '' });
  t.equal(served.status, 200);
  const etag = served.headers.get('etag') ?? '';
  const again = await app.request('GET', '/openapi.json', undefined, { 'if-none-match': etag });
  t.equal(again.status, 304);
  t.same(served.json, JSON.parse(readFileSync('docs/openapi.json', 'utf8')));
});

void t.test('every route of the contracts is described, and no other', (t) => {
  const { paths } = openApiDocument(tables, '0') as unknown as Document;
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const served = tables.flatMap(({ routes }) =>
    routes.flatMap((route) => [
      `${route.method} ${route.path}`,
      ...(takesHead(route) ? [`HEAD ${route.path}`] : []),
    ]),
  );
  t.same(described.toSorted(), served.toSorted());
  t.ok(served.length > 10);
  t.end();
});

void t.test('every method of every path is answered as the document says', async (t) => {
  const app = await startTestApp(t);
  const { paths } = (await app.request('GET', '/openapi.json')).json as unknown as Document;
  for (const [path, methods] of Object.entries(paths)) {
    const described = Object.keys(methods).map((method) => method.toUpperCase());
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const answer = await app.request(method, path.replace('{event_id}', crypto.randomUUID()));
      const name = `${method} ${path}`;
      if (described.includes(method)) {
        t.ok(
          Object.keys(methods[method.toLowerCase()]?.responses ?? {}).includes(String(answer.status)),
          name,
        );
      } else {
        t.equal(answer.status, 405, name);
        t.same(answer.headers.get('allow')?.split(', ').toSorted(), described.toSorted(), name);
      }
    }
  }
});
