import { hash } from 'node:crypto';
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  skipScalar,
  skipSpace,
  skipString,
} from './json-text.ts';

/**
 * A text that is the same for equal JSON values: members are sorted by name, of duplicate members only the last one counts,
 * and strings and numbers have one spelling. `1`, `1.0` and `1e0` are one number, and `-0` is `0`. Numbers are not converted to
 * doubles, which would merge 9007199254740993 with ...992. Values may have any depth.
 *
 * The text is for comparing, not for storing. Numbers have a spelling of its own (`12e-1` for `1.2`), and objects and arrays
 * longer than `LONGEST` are replaced by their SHA-256. So no level copies everything below it, and time is linear at any depth.
 *
 * Claims that are stored hold hashes of it: a text that comes out differently makes repeated requests new ones.
 *
 * @param text JSON that `JSON.parse` has accepted.
 * @param omit name of a member to leave out of the outermost object.
 */
export function canonicalJson(text: string, omit?: string): string {
  const open = new OpenContainers(omit);
  let at = 0;
  for (;;) {
    at = skipSpace(text, at);
    const first = text.charCodeAt(at);
    let value: string;
    if (first === OPEN_BRACE || first === OPEN_BRACKET) {
      open.enter(first === OPEN_BRACE);
      at = skipSpace(text, at + 1);
      const next = text.charCodeAt(at);
      if (next !== CLOSE_BRACE && next !== CLOSE_BRACKET) {
        at = open.readName(text, at);
        continue;
      }
      at++;
      value = open.leave();
    } else {
      const end = first === QUOTE ? skipString(text, at) : skipScalar(text, at);
      value = canonicalScalar(text.slice(at, end));
      at = end;
    }
    for (;;) {
      if (open.depth === 0) return value;
      open.values.push(value);
      at = skipSpace(text, at);
      if (text.charCodeAt(at++) === COMMA) {
        at = open.readName(text, skipSpace(text, at));
        break;
      }
      value = open.leave();
    }
  }
}

/** In characters. Every level of a deep value copies up to this many; every longer value costs a hash (0.5 µs). */
const LONGEST = 96;

/**
 * What has been read of the containers that are open. One stack for the values of all of them and one for the names: an object,
 * a list and a map for each of 130,000 nested arrays took five times as long.
 */
class OpenContainers {
  /** Of the outermost container first. */
  readonly values: string[] = [];
  /** As they are written, quotes included; each before its value is there. */
  readonly #names: string[] = [];
  /** Where the values of each container begin. */
  readonly #valueStarts: number[] = [];
  /** Where the names of each object begin; -1 for an array. */
  readonly #nameStarts: number[] = [];
  /** A member of the outermost object. */
  readonly #omit: string | undefined;

  constructor(omit: string | undefined) {
    this.#omit = omit;
  }

  get depth(): number {
    return this.#valueStarts.length;
  }

  enter(isObject: boolean): void {
    this.#valueStarts.push(this.values.length);
    this.#nameStarts.push(isObject ? this.#names.length : -1);
  }

  /** @returns where the next value begins: behind a name and its colon in an object, at once in an array. */
  readName(text: string, at: number): number {
    if (this.#nameStarts.at(-1) === -1) return at;
    const end = skipString(text, at);
    this.#names.push(text.slice(at, end));
    return skipSpace(text, end) + 1;
  }

  /** @returns the innermost container as text, or its hash. */
  leave(): string {
    const start = this.#valueStarts.pop() ?? 0;
    const nameStart = this.#nameStarts.pop() ?? -1;
    const text = nameStart === -1 ? this.#array(start) : this.#object(start, nameStart);
    cutTo(this.values, start);
    // `#` begins no JSON text.
    return text.length <= LONGEST ? text : `#${hash('sha256', text, 'base64url')}`;
  }

  #array(start: number): string {
    if (this.values.length - start === 1) return `[${this.values[start] ?? ''}]`;
    return `[${this.values.slice(start).join(',')}]`;
  }

  #object(start: number, nameStart: number): string {
    const { values } = this;
    const names = this.#names.slice(nameStart);
    cutTo(this.#names, nameStart);
    const omit = this.depth === 0 ? this.#omit : undefined;
    if (omit === undefined && names.length <= 1 && names[0]?.includes('\\') !== true) {
      return names.length === 0 ? '{}' : `{${names[0] ?? ''}:${values[start] ?? ''}}`;
    }
    const members: Member[] = names.map((written, index) => {
      const value = values[start + index] ?? '';
      if (!written.includes('\\')) return { name: written.slice(1, -1), text: `${written}:${value}` };
      const name = JSON.parse(written) as string;
      return { name, text: `${JSON.stringify(name)}:${value}` };
    });
    // Of members with one name the last stays the last.
    members.sort(byName);
    let text = '';
    members.forEach((member, index) => {
      if (member.name === members[index + 1]?.name || member.name === omit) return;
      text += text === '' ? member.text : `,${member.text}`;
    });
    return `{${text}}`;
  }
}

interface Member {
  readonly name: string;
  readonly text: string;
}

function byName({ name: a }: Member, { name: b }: Member): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** An assignment to `length` costs more than the one `pop` that is nearly always enough. */
function cutTo(stack: string[], length: number): void {
  if (stack.length === length + 1) stack.pop();
  else if (stack.length > length) stack.length = length;
}

function canonicalScalar(text: string): string {
  const first = text.charAt(0);
  if (first === '"') return text.includes('\\') ? JSON.stringify(JSON.parse(text)) : text;
  return first === 't' || first === 'f' || first === 'n' ? text : canonicalNumber(text);
}

const ZERO = 0x30;
const NINE = 0x39;
const MINUS = 0x2d;
const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** `±digits` or `±digitsE±exponent`, where the digits neither start nor end with a zero. */
function canonicalNumber(text: string): string {
  if (isCanonicalInteger(text)) return text;
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  if (digits === '') return '0';
  // Not /0+$/: on 1000…0001 it would be quadratic, and a payload may consist of one such number.
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === ZERO) end--;
  const significant = digits.slice(0, end);
  const scale = plus(exponent, digits.length - significant.length - fraction.length);
  return scale === '0' ? sign + significant : `${sign}${significant}e${scale}`;
}

/** Most numbers are. */
function isCanonicalInteger(text: string): boolean {
  const start = text.charCodeAt(0) === MINUS ? 1 : 0;
  const last = text.length - 1;
  if (text.charCodeAt(start) === ZERO || text.charCodeAt(last) === ZERO) return false;
  for (let at = start; at <= last; at++) {
    const code = text.charCodeAt(at);
    if (code < ZERO || code > NINE) return false;
  }
  return true;
}

/** Digits that a double holds exactly, with room for a sum. */
const EXACT = 15;
const SIGNED = /^([+-]?)0*(\d*)$/;

/**
 * The sum of an integer that may have any number of digits, as text, and a small one. Not by `BigInt`: 400,000 digits to and
 * from one take 130 ms, and the exponent of a number may have as many.
 */
function plus(integer: string, small: number): string {
  const [, sign = '', digits = ''] = SIGNED.exec(integer) ?? [];
  if (digits.length <= EXACT) return String(Number(`${sign}${digits || '0'}`) + small);
  const delta = sign === '-' ? -small : small;
  let head = digits.slice(0, -EXACT);
  let tail = Number(digits.slice(-EXACT)) + delta;
  const carry = tail < 0 ? -1 : tail >= 10 ** EXACT ? 1 : 0;
  if (carry !== 0) {
    head = carried(head, carry);
    tail -= carry * 10 ** EXACT;
  }
  const sum = `${head}${String(tail).padStart(EXACT, '0')}`.replace(/^0+/, '');
  return sign === '-' ? `-${sum}` : sum;
}

/** @param digits of a number above 0. */
function carried(digits: string, carry: 1 | -1): string {
  const [passing, left] = carry === 1 ? ['9', '0'] : ['0', '9'];
  let end = digits.length;
  while (end > 0 && digits[end - 1] === passing) end--;
  if (end === 0) return `1${left.repeat(digits.length)}`;
  const digit = String(Number(digits[end - 1]) + carry);
  return digits.slice(0, end - 1) + digit + left.repeat(digits.length - end);
}
