import { hash } from 'node:crypto';
import { skipScalar, skipSpace, skipString } from './json-text.ts';

/**
 * A text that is the same for equal JSON values: members are sorted by name, of duplicate members only the last one counts,
 * and strings and numbers have one spelling. `1`, `1.0` and `1e0` are one number, and `-0` is `0`. Numbers are not converted to
 * doubles, which would merge 9007199254740993 with ...992. Values may have any depth.
 *
 * The text is for comparing, not for storing. Numbers have a spelling of its own (`12e-1` for `1.2`), and objects and arrays
 * longer than `LONGEST` are replaced by their SHA-256. So no level copies everything below it, and time is linear at any depth.
 *
 * @param text JSON that `JSON.parse` has accepted.
 * @param omit name of a member to leave out of the outermost object.
 */
export function canonicalJson(text: string, omit?: string): string {
  const open: Container[] = [];
  let at = 0;
  for (;;) {
    at = skipSpace(text, at);
    const first = text[at];
    let value: string | undefined;
    if (first === '{' || first === '[') {
      const container: Container = first === '{' ? { members: new Map(), name: '' } : { items: [] };
      open.push(container);
      at = skipSpace(text, at + 1);
      if (text[at] === '}' || text[at] === ']') {
        at++;
        value = close(container);
        open.pop();
      }
    } else {
      const end = first === '"' ? skipString(text, at) : skipScalar(text, at);
      value = canonicalScalar(text.slice(at, end));
      at = end;
    }
    while (value !== undefined) {
      const parent = open.at(-1);
      if (parent === undefined) return value;
      add(parent, value);
      at = skipSpace(text, at);
      value = undefined;
      if (text[at++] !== ',') {
        if (omit !== undefined && open.length === 1) parent.members?.delete(omit);
        value = close(parent);
        open.pop();
      }
    }
    const parent = open.at(-1);
    if (parent?.members !== undefined) {
      at = skipSpace(text, at);
      const end = skipString(text, at);
      parent.name = unescaped(text.slice(at, end));
      at = skipSpace(text, end) + 1;
    }
  }
}

/** In characters. Every level of a deep value copies up to this many; every longer value costs a hash (0.5 µs). */
const LONGEST = 96;

type Container =
  | { readonly members: Map<string, string>; name: string; readonly items?: undefined }
  | { readonly items: string[]; readonly members?: undefined };

function add(container: Container, value: string): void {
  if (container.members) container.members.set(container.name, value);
  else container.items.push(value);
}

function close(container: Container): string {
  const text = written(container);
  // No JSON text begins with `#`.
  return text.length <= LONGEST ? text : `#${hash('sha256', text, 'base64url')}`;
}

function written({ members, items }: Container): string {
  if (items) return `[${items.join(',')}]`;
  const sorted = [...members].sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${sorted.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`;
}

function unescaped(text: string): string {
  return text.includes('\\') ? (JSON.parse(text) as string) : text.slice(1, -1);
}

function canonicalScalar(text: string): string {
  const first = text.charAt(0);
  if (first === '"') return text.includes('\\') ? JSON.stringify(JSON.parse(text)) : text;
  return first === 't' || first === 'f' || first === 'n' ? text : canonicalNumber(text);
}

const ZERO = 0x30;
const NUMBER = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/;

/** `±digits` or `±digitsE±exponent`, where the digits neither start nor end with a zero. */
function canonicalNumber(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] = NUMBER.exec(text) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  if (digits === '') return '0';
  // Not /0+$/: on 1000…0001 it would be quadratic, and a payload may consist of one such number.
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === ZERO) end--;
  const significant = digits.slice(0, end);
  // An exponent may have any number of digits as well.
  const scale = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return scale === 0n ? sign + significant : `${sign}${significant}e${String(scale)}`;
}
