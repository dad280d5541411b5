import { invalidField } from './request-error.ts';

/**
 * Parses a query string as HTML forms write it (`+` is a space). uWebSockets' own parser is not used: it silently turns `%zz`
 * into junk and corrupts the string for the next reader.
 *
 * @param raw without the question mark.
 * @returns a map without prototype. Throws a `VALIDATION_ERROR` for bad percent-encoding and for a parameter given twice.
 */
export function parseQuery(raw: string): Record<string, string> {
  const query = Object.create(null) as Record<string, string>;
  if (raw === '') return query;
  for (const pair of raw.split('&')) {
    if (pair === '') continue;
    const equals = pair.indexOf('=');
    const name = decode(equals === -1 ? pair : pair.slice(0, equals));
    if (name in query) throw invalidField(name, 'is given more than once');
    query[name] = equals === -1 ? '' : decode(pair.slice(equals + 1));
  }
  return query;
}

function decode(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    throw invalidField('query', `${JSON.stringify(text)} is not valid percent-encoded UTF-8`);
  }
}
