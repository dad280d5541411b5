import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';

const DECISIONS = 'docs/decisions';

const pages = [
  'README.md',
  'CHANGELOG.md',
  'src/client/README.md',
  ...markdownIn('docs'),
  ...markdownIn('docs/examples'),
  ...markdownIn('docs/deploy/aws'),
  ...markdownIn(DECISIONS),
].map((path) => ({
  path,
  text: readFileSync(path, 'utf8'),
}));

function markdownIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));
}

/** Anchors of the headings of a page, as GitHub makes them. */
function anchorsOf(path: string): Set<string> {
  const headings = readFileSync(path, 'utf8').matchAll(/^#+ (.*)$/gm);
  return new Set(
    [...headings].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_ -]/gu, '')
        .replaceAll(' ', '-'),
    ),
  );
}

void t.test('every link of a page leads somewhere', (t) => {
  for (const { path, text } of pages) {
    for (const [link, target = '', anchor] of text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const file = target === '' ? path : join(dirname(path), target);
      t.ok(existsSync(file), `${path}: ${link}`);
      if (anchor !== undefined && existsSync(file)) t.ok(anchorsOf(file).has(anchor), `${path}: ${link}`);
    }
  }
  t.end();
});

void t.test('every file of the project that a page names is there', (t) => {
  for (const { path, text } of pages) {
    for (const [, named = ''] of text.matchAll(/`((?:src|test|bench|docs|\.ci)\/[\w./-]*\w)`/g)) {
      // What a run leaves behind.
      if (named.startsWith('bench/results/')) continue;
      t.ok(existsSync(named), `${path}: ${named}`);
    }
  }
  t.end();
});

void t.test('every npm script that a page names is there', (t) => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  for (const { path, text } of pages) {
    for (const [, name = ''] of text.matchAll(/npm run (?:--silent )?([\w:-]*\w)/g)) {
      t.ok(scripts[name], `${path}: npm run ${name}`);
    }
  }
  t.end();
});

void t.test('every decision is in the index, once, and has the form of the template', (t) => {
  const files = readdirSync(DECISIONS).filter((name) => name !== 'README.md');
  const index = readFileSync(join(DECISIONS, 'README.md'), 'utf8');
  const rows = [...index.matchAll(/^\| \[(\d{3})\]\(([^)]*)\)/gm)];
  t.same(rows.map(([, , file]) => file).toSorted(), files.toSorted());
  for (const [, number = '', file = ''] of rows) {
    t.ok(file.startsWith(`${number}-`), file);
    const text = existsSync(join(DECISIONS, file)) ? readFileSync(join(DECISIONS, file), 'utf8') : '';
    t.ok(new RegExp(`^# ${number}: .+\n\n\\*\\*Decided:\\*\\* `).test(text), file);
  }
  t.end();
});

void t.test('docs/contributing.md describes every file of .ci', (t) => {
  const described = [
    ...readFileSync('docs/contributing.md', 'utf8').matchAll(/^\| `([\w.-]+)` +\| .+ \| .+ \|$/gm),
  ];
  t.same(described.map(([, name]) => name).toSorted(), readdirSync('.ci').toSorted());
  t.end();
});
