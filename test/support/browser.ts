import { type Browser, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';

/** Where Debian's package puts it. */
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

export const WIDE = 1280;
export const NARROW = 390;

/** A Chromium without a window, closed with the test. */
export async function startBrowser(t: Test): Promise<Browser> {
  // Root has no sandbox in Chromium, and the pages are our own.
  const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--no-sandbox'] });
  t.teardown(() => browser.close());
  return browser;
}

export interface WatchedPage {
  readonly page: Page;
  /**
   * What went wrong so far: whatever the browser complains of (an error, a warning, a breach of the content security policy), and
   * each request that was for another host or failed.
   */
  readonly problems: string[];
}

/** An empty page that may ask nobody but this service. */
export async function openPage(browser: Browser, url: string, width: number): Promise<WatchedPage> {
  const page = await browser.newPage({ viewport: { width, height: 900 }, baseURL: url });
  const problems: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) problems.push(message.text());
  });
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('request', (request) => {
    const asked = request.url();
    if (!asked.startsWith(`${url}/`) && !asked.startsWith('data:') && !asked.startsWith('blob:')) {
      problems.push(`request to ${asked}`);
    }
  });
  page.on('requestfailed', (request) => {
    const reason = String(request.failure()?.errorText);
    // Its page was left before it was answered.
    if (reason !== 'net::ERR_ABORTED') problems.push(`${request.url()}: ${reason}`);
  });
  return { page, problems };
}

/** Whether the page is wider than its window. */
export function isTooWide(page: Page): Promise<boolean> {
  return page.evaluate('document.documentElement.scrollWidth > window.innerWidth');
}
