import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COMMA,
  isEscaped,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  skipString,
  SPACE,
} from './json-text.ts';

/** A value in the text of a JSON object, cut out as it was written. */
export interface CutValue {
  /** An item of the list that is asked for, or the value of any other member. */
  readonly kind: 'item' | 'member';
  /** Name of the member in which it is; of a long one only the beginning. */
  readonly name: string;
  readonly text: string;
  /** Its position in the whole text. */
  readonly at: number;
}

/**
 * A step through the text. `list`: the list that is asked for begins; of several the last one counts, as in `JSON.parse`. `pause`: a
 * long value goes on.
 */
export type Cut = CutValue | { readonly kind: 'list' | 'pause' };

const COLON = 0x3a;
const LIST = { kind: 'list' } as const;
const PAUSE = { kind: 'pause' } as const;
/** Most characters of a value that one step goes through: some 0.3 ms. */
const STEP_CHARS = 65_536;
/** Most characters of a name that is told. */
const NAME_CHARS = 1_000;

/**
 * Cuts the items of a list out of the text of a JSON object, in short steps, so that a large text can be read beside other work.
 * Members other than the list are cut out whole.
 *
 * The text need not be JSON: once `JSON.parse` has accepted every value that is cut out, all of it is, but for a name of more than
 * 1,000 characters. Everything else between the values is checked here.
 *
 * @throws a `SyntaxError` in the words of `JSON.parse`.
 */
export function* cutList(text: string, name: string): Generator<Cut, void> {
  let at = expect(text, skipBlank(text, 0), OPEN_BRACE);
  if (text.charCodeAt(at) === CLOSE_BRACE) {
    expectEnd(text, at + 1);
    return;
  }
  for (;;) {
    if (text.charCodeAt(at) !== QUOTE) throw unexpected(text, at);
    const keyEnd = skipString(text, at);
    const key = readName(text, at, keyEnd);
    at = expect(text, skipBlank(text, keyEnd), COLON);
    if (key === name && text.charCodeAt(at) === OPEN_BRACKET) at = yield* cutItems(text, at, key);
    else at = yield* cutValue(text, at, 'member', key);
    if (text.charCodeAt(at) === CLOSE_BRACE) break;
    at = expect(text, at, COMMA);
  }
  expectEnd(text, at + 1);
}

/** @returns the position of what follows the list. */
function* cutItems(text: string, start: number, name: string): Generator<Cut, number> {
  yield LIST;
  let at = skipBlank(text, start + 1);
  if (text.charCodeAt(at) === CLOSE_BRACKET) return skipBlank(text, at + 1);
  for (;;) {
    at = yield* cutValue(text, at, 'item', name);
    if (text.charCodeAt(at) === CLOSE_BRACKET) return skipBlank(text, at + 1);
    at = expect(text, at, COMMA);
  }
}

/** @returns the position of what follows the value. */
function* cutValue(text: string, at: number, kind: CutValue['kind'], name: string): Generator<Cut, number> {
  const place: Place = { at, depth: 0, inString: false };
  while (!skipSome(text, place)) yield PAUSE;
  yield { kind, name, text: text.slice(at, place.at), at };
  return skipBlank(text, place.at);
}

/** Where the walk through a value is. */
interface Place {
  at: number;
  /** Of the containers that are open. */
  depth: number;
  inString: boolean;
}

/**
 * Goes on through a value for `STEP_CHARS`, or for the rest of a string without quotes, which is found many times faster.
 *
 * @returns whether the value has ended, or the text.
 */
function skipSome(text: string, place: Place): boolean {
  const until = place.at + STEP_CHARS;
  while (place.at < until) {
    if (place.inString) {
      if (skipToQuote(text, place) && place.depth === 0) return true;
      continue;
    }
    const code = text.charCodeAt(place.at);
    if (code === OPEN_BRACE || code === OPEN_BRACKET) place.depth++;
    else if (code === QUOTE) place.inString = true;
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (place.depth === 0) return true;
      if (--place.depth === 0) {
        place.at++;
        return true;
      }
    } else if (place.depth === 0 ? code === COMMA || !(code > SPACE) : Number.isNaN(code)) return true;
    place.at++;
  }
  return false;
}

/** @returns whether that was the end of the string, or of the text. */
function skipToQuote(text: string, place: Place): boolean {
  const quote = text.indexOf('"', place.at);
  if (quote === -1) {
    place.at = text.length;
    place.inString = false;
    return true;
  }
  place.at = quote + 1;
  place.inString = isEscaped(text, quote);
  return !place.inString;
}

function readName(text: string, start: number, end: number): string {
  if (end - start <= NAME_CHARS) return JSON.parse(text.slice(start, end)) as string;
  return text.slice(start + 1, start + NAME_CHARS);
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
