import type { Test } from 'tap';
import t from 'tap';
import { createLogOutput } from '../src/log-output.ts';
import type { Sink } from '../src/stdio.ts';
import { until } from './support/stdout.ts';

const LINE = `${'x'.repeat(99)}\n`;

/** An output of 100 kB on a sink that a test may replace at any time. */
function outputOn(sink: Sink) {
  const target = { sink, text: '', complaints: [] as string[] };
  const output = createLogOutput({
    sink: async (blocks) => {
      const written = await target.sink(blocks);
      target.text += Buffer.concat(blocks).subarray(0, written).toString('latin1');
      return written;
    },
    capacity: 100_000,
    droppedLine: (lines) => `dropped ${String(lines)}\n`,
    complain: (line) => target.complaints.push(line),
  });
  return { target, ...output };
}

const length = (blocks: readonly Uint8Array[]) => Buffer.concat(blocks).length;
const takesAll: Sink = length;

function failing(code: string): Sink {
  return () => Promise.reject(Object.assign(new Error(`${code}: planted`), { code }));
}

void t.test('lines come out whole and in order, whatever a write takes', async (t) => {
  let calls = 0;
  const { write, flush, target } = outputOn((blocks) => {
    calls++;
    if (calls % 3 === 0) throw Object.assign(new Error('full'), { code: 'EAGAIN' });
    return calls % 5 === 0 ? 0 : Math.min(length(blocks), 20_000);
  });
  const lines = Array.from({ length: 800 }, (_, i) => `line ${String(i)} \u00fc ${LINE}`);
  for (const line of lines) write(line);
  await until(() => target.text.length > 80_000);
  await flush();
  t.equal(Buffer.from(target.text, 'latin1').toString(), lines.join(''));
  t.strictSame(target.complaints, []);
});

const stalls: Record<string, Sink> = {
  'has no room': failing('EAGAIN'),
  'has failed': failing('ENOSPC'),
};

for (const [name, stalled] of Object.entries(stalls)) {
  void t.test(`a sink that ${name}: what does not fit is counted in one line in its place`, async (t) => {
    const { write, flush, droppedLines, target } = outputOn(stalled);
    for (let i = 0; i < 1_500; i++) write(LINE);
    t.equal(droppedLines(), 500);
    target.sink = takesAll;
    await until(() => target.text.includes('dropped'));
    write('later\n');
    await flush();
    t.equal(target.text, `${LINE.repeat(1_000)}dropped 500\nlater\n`);
    t.equal(droppedLines(), 500, 'of all that were, for the metrics');
    t.equal(target.complaints.length, name === 'has failed' ? 1 : 0);
  });
}

void t.test(
  'after a gap lines are taken again when half of the memory is free, not one by one',
  async (t) => {
    const { write, flush, target } = outputOn(failing('EAGAIN'));
    for (let i = 0; i < 1_001; i++) write(LINE);
    let room = 20_000;
    target.sink = (bytes) => {
      const written = Math.min(room, bytes.length);
      room -= written;
      return written;
    };
    await until(() => target.text.length === 20_000);
    for (let i = 0; i < 10; i++) write(LINE);
    target.sink = takesAll;
    await flush();
    t.equal(target.text, `${LINE.repeat(1_000)}dropped 11\n`);
  },
);

void t.test('a line that can never fit is counted too', async (t) => {
  const { write, flush, target } = outputOn(takesAll);
  write(LINE.repeat(2_000));
  write(LINE);
  await flush();
  t.equal(target.text, 'dropped 2\n');
});

const ends: Record<string, { sink: Sink; reason: RegExp }> = {
  'never answers': { sink: () => new Promise<number>(() => undefined), reason: /stdout is not read/ },
  'has no room': { sink: failing('EAGAIN'), reason: /stdout is not read/ },
  fails: { sink: failing('EIO'), reason: /EIO: planted/ },
};

for (const [name, { sink, reason }] of Object.entries(ends)) {
  void t.test(`the end does not wait for a sink that ${name}, and says how much is lost`, async (t: Test) => {
    const { write, flush, target } = outputOn(sink);
    for (let i = 0; i < 1_200; i++) write(LINE);
    await flush();
    t.match(target.complaints.at(-1), /^1200 lines of the log are lost/);
    t.match(target.complaints.at(-1), reason);
  });
}
