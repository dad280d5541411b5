import { hash } from 'node:crypto';
import { skipScalar, skipSpace, skipString } from './json-text.ts';

/**
 * A text that is the same for the same JSON value: members sorted by name, the last of duplicates only, strings and
 * numbers in one spelling. `1`, `1.0` and `1e0` are one number, `-0` is `0`; no detour by doubles, which would merge
 * 9007199254740993 with ...992. Any depth.
 *
 * For comparing, not for storing: numbers come out in a spelling of ours (`12e-1` for `1.2`), and objects and arrays that
 * are longer than `LONGEST` as their SHA-256, so that no level copies all that is below it: linear in time, however deep.
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

/** Characters. Every level of a deep value copies up to so many; every value that is longer costs a hash (0.5 µs). */
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
  // `#` begins no JSON text.
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
  // Not /0+$/: on 1000…0001 that is quadratic, and a payload may be one such number.
  let end = digits.length;
  while (digits.charCodeAt(end - 1) === ZERO) end--;
  const significant = digits.slice(0, end);
  // An exponent may have any number of digits, too.
  const scale = BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length);
  return scale === 0n ? sign + significant : `${sign}${significant}e${String(scale)}`;
}
