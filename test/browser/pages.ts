import type { Page } from 'playwright-core';
import t from 'tap';
import { LOCAL_KEY } from '../../src/access/local.ts';
import { startTestApp, type TestApp } from '../support/app.ts';
import { isTooWide, NARROW, openPage, startBrowser, WIDE } from '../support/browser.ts';

const SEND = 'createEvent';
const READ_INBOX = 'getInbox';
const SECOND_EVENT = '{"source":"second","event_type":"t","payload":{}}';

const browser = await startBrowser(t);

interface Operation {
  readonly operationId: string;
  readonly summary: string;
  readonly tags: readonly string[];
}

/** Everything that the document describes. */
async function describedBy(app: TestApp): Promise<Operation[]> {
  const { json } = await app.request('GET', '/openapi.json');
  const paths = json['paths'] as Record<string, Record<string, Operation>>;
  return Object.values(paths).flatMap((path) => Object.values(path));
}

/** The part of Swagger UI that is about one operation, opened. */
async function opened(page: Page, { operationId, tags: [tag = ''] }: Operation) {
  const block = page.locator(`[id="operations-${tag}-${operationId}"]`);
  await block.locator('.opblock-summary-control').click();
  await block.locator('.opblock-body').waitFor();
  return block;
}

function find(operations: readonly Operation[], id: string): Operation {
  const found = operations.find(({ operationId }) => operationId === id);
  if (found === undefined) throw new Error(`the document has no operation ${id}`);
  return found;
}

for (const width of [WIDE, NARROW]) {
  void t.test(`/ leads to everything, ${String(width)} wide`, async (t) => {
    const app = await startTestApp(t);
    const { page, problems } = await openPage(browser, app.url, width);
    await page.goto('/');
    t.equal(await page.locator('h1').textContent(), 'Triggers API');
    t.match(await page.locator('main').textContent(), LOCAL_KEY);
    t.notOk(await isTooWide(page), 'nothing stands out at the side');
    for (const [name, target] of [
      ['Try it', '/docs'],
      ['Read it', '/redoc'],
      ['OpenAPI', '/openapi.json'],
    ] as const) {
      await page.goto('/');
      await page.locator('main').getByRole('link', { name }).click();
      await page.waitForURL(`**${target}`);
    }
    t.same(problems, []);
    await page.close();
  });

  void t.test(`Swagger UI shows every operation and carries one out, ${String(width)} wide`, async (t) => {
    const app = await startTestApp(t);
    const operations = await describedBy(app);
    const { page, problems } = await openPage(browser, app.url, width);
    await page.goto('/docs');
    await page.locator('.opblock').first().waitFor();
    t.equal(await page.locator('.opblock').count(), operations.length);

    const send = await opened(page, find(operations, SEND));
    await send.getByRole('button', { name: 'Execute' }).click();
    const status = send.locator('.live-responses-table .response-col_status');
    await status.filter({ hasText: '201' }).waitFor();
    t.match(await send.locator('.curl-command').textContent(), LOCAL_KEY, 'a curl line to take along');
    await send.locator('textarea.body-param__text').fill(SECOND_EVENT);
    await send.getByRole('button', { name: 'Clear' }).click();
    await send.getByRole('button', { name: 'Execute' }).click();
    await status.filter({ hasText: '201' }).waitFor();
    const inbox = await app.request('GET', '/v1/inbox');
    t.match(inbox.json['events'], { length: 2, 1: { source: 'second' } }, 'the events are there');

    // Each takes a second; they are the same text at every width.
    const others = operations.filter(({ operationId }) => operationId !== SEND);
    for (const operation of width === WIDE ? others : others.slice(-1)) await opened(page, operation);
    await page.locator('section.models button').first().click();
    t.notOk(await isTooWide(page), 'nothing stands out at the side');
    t.same(problems, []);
    await page.close();
  });

  void t.test(`ReDoc shows every operation and finds one, ${String(width)} wide`, async (t) => {
    const app = await startTestApp(t);
    const operations = await describedBy(app);
    const { page, problems } = await openPage(browser, app.url, width);
    await page.goto('/redoc');
    for (const { operationId, summary } of operations) {
      const section = page.locator(`[id="operation/${operationId}"], [id$="/operation/${operationId}"]`);
      t.match(await section.locator('h2').first().textContent(), summary);
    }
    t.notOk(await isTooWide(page), 'nothing stands out at the side');
    if (width === WIDE) {
      await page.getByPlaceholder('Search').fill('acknowledge');
      await page.locator('[data-role="search:results"]').getByText('Acknowledge').first().waitFor();
    }
    t.same(problems, []);
    await page.close();
  });
}

void t.test('a key that is entered by hand is the one that is sent', async (t) => {
  const app = await startTestApp(t);
  const operations = await describedBy(app);
  const { page, problems } = await openPage(browser, app.url, WIDE);
  await page.goto('/docs');
  await page.getByRole('button', { name: 'Authorize' }).first().click();
  const dialog = page.locator('.modal-ux');
  await dialog.getByRole('button', { name: 'Remove authorization' }).click();
  const form = dialog.locator('.auth-container').filter({ hasText: 'bearer' });
  await form.locator('input').fill(LOCAL_KEY);
  await form.getByRole('button', { name: 'Apply credentials' }).click();
  await dialog.getByRole('button', { name: 'Close' }).first().click();
  const read = await opened(page, find(operations, READ_INBOX));
  await read.getByRole('button', { name: 'Execute' }).click();
  await read.locator('.live-responses-table .response-col_status').filter({ hasText: '200' }).waitFor();
  const curl = await read.locator('.curl-command').textContent();
  t.match(curl, `Authorization: Bearer ${LOCAL_KEY}`);
  t.notMatch(curl, 'X-API-Key');
  t.same(problems, []);
});

void t.test('with AUTH_MODE=keys no page knows a key', async (t) => {
  const app = await startTestApp(t, { AUTH_MODE: 'keys' });
  const { page } = await openPage(browser, app.url, WIDE);
  for (const path of ['/', '/docs', '/redoc']) {
    const response = await page.goto(path);
    t.notMatch(await response?.text(), LOCAL_KEY, path);
  }
  await page.locator('#redoc h1').first().waitFor();
});
