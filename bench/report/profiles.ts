import type { Machine } from '../harness/machine.ts';

/** What the report shows of `npm run bench -- profile`. */
export interface ProfileResults extends Machine {
  readonly of: 'service' | 'emulator';
  readonly startedAt: string;
  /** The costliest by themselves, with their shares of the time. */
  readonly functions: readonly (readonly [name: string, self: number, withCallees: number])[];
  /** Of a flame graph; none for the emulator. */
  readonly boxes: readonly Box[];
}

/** A call in a flame graph: how deep, from where to how far as shares of the whole, and the function. */
export type Box = readonly [depth: number, start: number, share: number, name: string];

/** A function in the tree of calls. Shares of the whole. */
export interface Call {
  /** Function, file and line. */
  readonly name: string;
  readonly self: number;
  readonly calls: readonly Call[];
}

interface Frame {
  readonly functionName: string;
  readonly url: string;
  readonly lineNumber: number;
}

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: Frame;
    readonly children?: readonly number[];
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface AllocationNode {
  readonly callFrame: Frame;
  readonly selfSize: number;
  readonly children: readonly AllocationNode[];
}

/** Of V8's `.cpuprofile`; idle time is left out. */
export function readCpu(json: string): Call {
  const { nodes, samples, timeDeltas } = JSON.parse(json) as CpuProfile;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const self = new Map<number, number>();
  let busy = 0;
  samples.forEach((id, index) => {
    if (byId.get(id)?.callFrame.functionName === '(idle)') return;
    const delta = timeDeltas[index] ?? 0;
    self.set(id, (self.get(id) ?? 0) + delta);
    busy += delta;
  });
  const read = (id: number): Call => {
    const node = byId.get(id);
    if (node === undefined) throw new Error(`the profile has no node ${String(id)}`);
    return {
      name: nameOf(node.callFrame),
      self: (self.get(id) ?? 0) / busy,
      calls: (node.children ?? []).map(read),
    };
  };
  return read(nodes[0]?.id ?? 0);
}

/** Of V8's `.heapprofile`. */
export function readAllocations(json: string): Call {
  const { head } = JSON.parse(json) as { head: AllocationNode };
  const sum = (node: AllocationNode): number =>
    node.children.reduce((total, child) => total + sum(child), node.selfSize);
  const all = sum(head);
  const read = ({ callFrame, selfSize, children }: AllocationNode): Call => ({
    name: nameOf(callFrame),
    self: selfSize / all,
    calls: children.map(read),
  });
  return read(head);
}

/** Each function once, the costliest by itself first; one that calls itself counts once. */
export function flatten(root: Call): { name: string; self: number; total: number }[] {
  const found = new Map<string, { name: string; self: number; total: number }>();
  const visit = (call: Call, within: ReadonlySet<string>): number => {
    const entry = found.get(call.name) ?? { name: call.name, self: 0, total: 0 };
    found.set(call.name, entry);
    const inside = new Set(within).add(call.name);
    const total = call.calls.reduce((sum, callee) => sum + visit(callee, inside), call.self);
    entry.self += call.self;
    if (!within.has(call.name)) entry.total += total;
    return total;
  };
  visit(root, new Set());
  return [...found.values()].sort((a, b) => b.self - a.self);
}

function nameOf({ functionName, url, lineNumber }: Frame): string {
  const name = functionName === '' ? '(anonymous)' : functionName;
  if (url === '') return name;
  const file = url.replace(/^.*\/(?=dist\/|node_modules\/)/, '').replace('node_modules/', '');
  return `${name}  ${file}:${String(lineNumber + 1)}`;
}
