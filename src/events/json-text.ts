export const QUOTE = 0x22;
const BACKSLASH = 0x5c;
export const COMMA = 0x2c;
export const OPEN_BRACE = 0x7b;
export const CLOSE_BRACE = 0x7d;
export const OPEN_BRACKET = 0x5b;
export const CLOSE_BRACKET = 0x5d;
export const SPACE = 0x20;

/**
 * Cuts the text of top-level members out of the text of a JSON object. The text stays as it was written: `1.10` is `1.10`.
 *
 * @param text a JSON object that `JSON.parse` has accepted; anything else gives nonsense.
 * @param names members to find. Of duplicates the last one counts, as in `JSON.parse`. In the text a name may be written with
 *   escapes.
 * @returns the text of each member's value without surrounding white space; absent members are absent.
 */
export function cutMembers<Name extends string>(
  text: string,
  names: readonly Name[],
): Partial<Record<Name, string>> {
  const found: Partial<Record<Name, string>> = {};
  let at = skipSpace(text, text.indexOf('{') + 1);
  while (text.charCodeAt(at) === QUOTE) {
    const keyEnd = skipString(text, at);
    const name = readKey(text, at, keyEnd);
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = skipValue(text, start);
    const wanted = names.find((candidate) => candidate === name);
    if (wanted !== undefined) found[wanted] = text.slice(start, end);
    at = skipSpace(text, end);
    if (text.charCodeAt(at) === COMMA) at = skipSpace(text, at + 1);
  }
  return found;
}

function readKey(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end - 1);
  return raw.includes('\\') ? (JSON.parse(text.slice(start, end)) as string) : raw;
}

/** Only white space may stand between JSON tokens, and all of it is at or below U+0020. */
export function skipSpace(text: string, at: number): number {
  while (text.charCodeAt(at) <= SPACE) at++;
  return at;
}

/** @param at position of the opening quote. @returns the position after the closing quote, or the end of a text without one. */
export function skipString(text: string, at: number): number {
  // `indexOf` runs over long strings many times faster than a loop over their characters.
  let close = text.indexOf('"', at + 1);
  while (close !== -1 && isEscaped(text, close)) close = text.indexOf('"', close + 1);
  return close === -1 ? text.length : close + 1;
}

/** @param at position of a quote in a string. */
export function isEscaped(text: string, at: number): boolean {
  let before = at - 1;
  while (text.charCodeAt(before) === BACKSLASH) before--;
  return (at - before) % 2 === 0;
}

function skipValue(text: string, at: number): number {
  const first = text.charCodeAt(at);
  if (first === QUOTE) return skipString(text, at);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipContainer(text, at);
  return skipScalar(text, at);
}

function skipContainer(text: string, at: number): number {
  let depth = 0;
  for (;;) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = skipString(text, at);
      continue;
    }
    at++;
    if (code === OPEN_BRACE || code === OPEN_BRACKET) depth++;
    else if ((code === CLOSE_BRACE || code === CLOSE_BRACKET) && --depth === 0) return at;
  }
}

export function skipScalar(text: string, at: number): number {
  for (;;) {
    const code = text.charCodeAt(at);
    // Not a number: the text has ended.
    if (code === COMMA || code === CLOSE_BRACE || code === CLOSE_BRACKET || !(code > SPACE)) return at;
    at++;
  }
}
