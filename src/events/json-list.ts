import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  skipString,
  skipValue,
} from './json-text.ts';

/** A value in the text of a JSON object, cut out as it was written. */
export interface CutValue {
  /** Of the members that are asked for, the one that is a list; undefined: a member that nobody asked for, or no list. */
  readonly list: true | undefined;
  /** Name of the member in which it is. */
  readonly name: string;
  readonly text: string;
  /** Its position in the whole text. */
  readonly at: number;
}

const COLON = 0x3a;

/**
 * Cuts the items of a list out of the text of a JSON object, one at a time, so that a large text can be read in steps. Members
 * other than the list are cut out whole.
 *
 * The text need not be JSON: once `JSON.parse` has accepted every value that is cut out, all of it is, because everything between
 * them is checked here.
 *
 * @throws a `SyntaxError` in the words of `JSON.parse`.
 */
export function* cutList(text: string, name: string): Generator<CutValue, void> {
  let at = expect(text, skipBlank(text, 0), OPEN_BRACE);
  if (text.charCodeAt(at) === CLOSE_BRACE) {
    expectEnd(text, at + 1);
    return;
  }
  for (;;) {
    if (text.charCodeAt(at) !== QUOTE) throw unexpected(text, at);
    const keyEnd = skipString(text, at);
    const key = JSON.parse(text.slice(at, keyEnd)) as string;
    at = expect(text, skipBlank(text, keyEnd), COLON);
    if (key === name && text.charCodeAt(at) === OPEN_BRACKET) at = yield* cutItems(text, at, key);
    else {
      const end = skipValue(text, at);
      yield { list: undefined, name: key, text: text.slice(at, end), at };
      at = skipBlank(text, end);
    }
    if (text.charCodeAt(at) === CLOSE_BRACE) break;
    at = expect(text, at, COMMA);
  }
  expectEnd(text, at + 1);
}

/** @returns the position of what follows the list. */
function* cutItems(text: string, start: number, name: string): Generator<CutValue, number> {
  let at = skipBlank(text, start + 1);
  if (text.charCodeAt(at) === CLOSE_BRACKET) return skipBlank(text, at + 1);
  for (;;) {
    const end = skipValue(text, at);
    yield { list: true, name, text: text.slice(at, end), at };
    at = skipBlank(text, end);
    if (text.charCodeAt(at) === CLOSE_BRACKET) return skipBlank(text, at + 1);
    at = expect(text, at, COMMA);
  }
}

/** @returns the position of what follows the character. */
function expect(text: string, at: number, code: number): number {
  if (text.charCodeAt(at) !== code) throw unexpected(text, at);
  return skipBlank(text, at + 1);
}

function expectEnd(text: string, at: number): void {
  const end = skipBlank(text, at);
  if (end < text.length) throw unexpected(text, end);
}

/** RFC 8259, section 2. `skipSpace` takes more, because it reads what has been accepted already. */
function skipBlank(text: string, at: number): number {
  for (;;) {
    const code = text.charCodeAt(at);
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return at;
    at++;
  }
}

function unexpected(text: string, at: number): SyntaxError {
  return new SyntaxError(
    at >= text.length ? 'Unexpected end of JSON input' : `Unexpected token at position ${String(at)}`,
  );
}
