/**
 * `npm run bench -- worst [--seconds 30] [--seed 1]`: searches for the payload that costs most, by changing the worst so far at
 * random, and prints what the known heavy requests and the worst found cost, in processor time and against a plain request of equal size.
 */
import { parseArgs } from 'node:util';
import { positive } from '../harness/arguments.ts';
import {
  createMeter,
  HEAVY_PAYLOADS,
  OTHER_REQUESTS,
  PAYLOAD_ROUTES,
  pieces,
  plainRequest,
} from '../harness/heavy-requests.ts';
import type { HeavyRequest } from '../harness/heavy-requests.ts';
import { introduction } from '../harness/machine.ts';
import { seeded, type Random } from '../harness/random.ts';

/** How a payload is made: `names` or, where that is none, a list, of `unit`, in levels of `nest`. */
interface Genome {
  readonly unit: string;
  /** Of the members that hold the units. */
  readonly name: (typeof NAMES)[number] | 'none';
  /** Of the text, for levels around all the units. */
  readonly depth: number;
  readonly nest: (typeof NESTS)[number];
}

const NAMES = ['base36', 'integer', 'far', 'shifted', 'escaped', 'long', 'same'] as const;
const NESTS = [
  ['[', ']'],
  ['{"":', '}'],
  ['{"a":[', ']}'],
  ['{"b":0,"a":', '}'],
  ['[0,', ',{}]'],
] as const;
const ATOMS = [
  '0',
  '1',
  '-1e9',
  '12.50',
  '1e400',
  '""',
  '"x"',
  '"\\n"',
  '"\\ud800"',
  '"😀"',
  'null',
  '[]',
  '{}',
  ' 1 ',
];

const measure = createMeter();

export async function worstRequest(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: { seconds: { type: 'string', default: '30' }, seed: { type: 'string', default: '1' } },
  });
  const seconds = positive('seconds', values.seconds);
  const random = seeded(positive('seed', values.seed));
  console.log(`${introduction()}\n`);
  for (const { limit, request } of PAYLOAD_ROUTES) {
    const plain = await cost(plainRequest(limit), 20);
    console.log(`${request('{}').target}, payloads of ${String(limit)} bytes; plain: ${plain.toFixed(1)} ms`);
    const known: [string, number][] = [];
    for (const [name, payload] of Object.entries(HEAVY_PAYLOADS))
      known.push([name, await cost(request(payload(limit)), 10)]);
    report(known, plain);
    const worst = await search(random, seconds, (genome) => cost(request(written(genome, limit)), 2));
    report([[`found: ${JSON.stringify(worst)}`, await cost(request(written(worst, limit)), 20)]], plain);
  }
  const others: [string, number][] = [];
  for (const [name, request] of Object.entries(OTHER_REQUESTS)) others.push([name, await cost(request, 10)]);
  console.log('other requests');
  report(others, await cost(plainRequest(409_600), 20));
  return 0;
}

async function cost(request: HeavyRequest, rounds: number): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < rounds; round++) least = Math.min(least, (await measure(request)).ms);
  return least;
}

function report(costs: readonly [name: string, ms: number][], plain: number): void {
  for (const [name, ms] of costs.toSorted(([, a], [, b]) => b - a).slice(0, 6)) {
    console.log(`  ${ms.toFixed(1).padStart(6)} ms ${(ms / plain).toFixed(1).padStart(6)} times  ${name}`);
  }
}

async function search(
  random: Random,
  seconds: number,
  score: (genome: Genome) => Promise<number>,
): Promise<Genome> {
  const end = performance.now() + seconds * 1000;
  let best: Genome = { unit: '0', name: 'none', depth: 0, nest: NESTS[0] };
  let highest = await score(best);
  while (performance.now() < end) {
    // Every fourth starts anew, so that the search leaves a hill that is not the highest.
    const candidate = random() < 0.25 ? anew(random) : changed(best, random);
    const found = await score(candidate);
    if (found > highest) [best, highest] = [candidate, found];
  }
  return best;
}

function anew(random: Random): Genome {
  return {
    unit: value(random, 3),
    name: pick(random, [...NAMES, 'none']),
    depth: pick(random, [0, 0.5, 0.9]),
    nest: pick(random, NESTS),
  };
}

function changed(genome: Genome, random: Random): Genome {
  const other = anew(random);
  const field = pick(random, ['unit', 'name', 'depth', 'nest'] as const);
  return { ...genome, [field]: other[field] };
}

function value(random: Random, depth: number): string {
  if (depth === 0 || random() < 0.4) return pick(random, ATOMS);
  const items = Array.from({ length: 1 + Math.floor(random() * 3) }, () => value(random, depth - 1));
  if (random() < 0.5) return `[${items.join(',')}]`;
  return `{${items.map((item) => `${pick(random, ['"a"', '"b"', '""', '"\\u0061"', '"0"', '"__proto__"'])}:${item}`).join(',')}}`;
}

function written({ unit, name, depth, nest: [open, close] }: Genome, size: number): string {
  const levels = Math.floor((size * depth) / (open.length + close.length));
  const room = size - levels * (open.length + close.length) - 10;
  const fitting = (piece: (index: number) => string): string =>
    pieces((index) => toBytes(piece(index)), room);
  const inside =
    name === 'none'
      ? `[${fitting(() => unit)}]`
      : `{${fitting((index) => `${nameOf(name, index)}:${unit}`)}}`;
  return `{"a":${open.repeat(levels)}${inside}${close.repeat(levels)}}`;
}

/** As ASCII, so that a character is a byte. */
function toBytes(text: string): string {
  return text.replaceAll('😀', '\\ud83d\\ude00');
}

function nameOf(kind: (typeof NAMES)[number], index: number): string {
  switch (kind) {
    case 'base36':
      return `"${index.toString(36)}"`;
    case 'integer':
      return `"${String(index)}"`;
    case 'far':
      return `"${String((index * 104_729) % 4_294_967_294)}"`;
    case 'shifted':
      return `"${String(index * 4_096)}"`;
    case 'escaped':
      return `"\\u0061${index.toString(36)}"`;
    case 'long':
      return `"${'x'.repeat(60)}${String(index)}"`;
    case 'same':
      return '"a"';
  }
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)] as Item;
}
