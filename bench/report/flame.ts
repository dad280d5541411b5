import * as echarts from 'echarts';
import type { CustomSeriesOption } from 'echarts';
import type { Box, Call } from './profiles.ts';

const WIDTH = 1_100;
const ROW = 18;
/** Narrower calls are left out: a name needs some room. */
const LEAST_SHARE = 0.004;
const CHARACTER = 6.2;

/** Whose code a call is. */
const OWNERS: readonly (readonly [pattern: RegExp, colour: string, name: string])[] = [
  [/ {2}dist\//, '#9ecae1', 'this project'],
  [/ {2}(?:lmdb|pino|sonic-boom|lru-cache|typebox)\//, '#fdd0a2', 'packages'],
  [/garbage collector/, '#fb9a99', 'garbage collector'],
  [/./, '#d9d9d9', 'Node and native code'],
];

/** SVG of a flame graph, callers above what they call, each as wide as its share. */
export function flameGraph(boxes: readonly Box[], title: string): string {
  const depth = Math.max(...boxes.map(([of]) => of)) + 1;
  const height = 64 + depth * ROW;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const series = OWNERS.map(([, colour, name], owner): CustomSeriesOption => {
    const own = boxes.filter((box) => ownerOf(box) === owner);
    return {
      type: 'custom',
      name,
      color: colour,
      animation: false,
      data: own.map(([depth, start, share]) => [start, depth, share]),
      renderItem: drawBoxes(own, colour),
    };
  });
  chart.setOption({
    backgroundColor: '#ffffff',
    title: { text: title, left: 8, top: 6, textStyle: { fontSize: 15, color: '#111111' } },
    legend: { right: 24, top: 8, itemGap: 32 },
    grid: { left: 8, right: 8, top: 40, bottom: 8 },
    xAxis: { type: 'value', min: 0, max: 1, show: false },
    yAxis: { type: 'value', min: 0, max: depth, inverse: true, show: false },
    series,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

/** Where the calls of a profile lie in a flame graph, without the narrowest. */
export function boxesOf(root: Call): Box[] {
  const boxes: Box[] = [];
  const visit = (siblings: readonly Call[], depth: number, from: number): void => {
    let start = from;
    for (const call of siblings.toSorted((a, b) => shareOf(b) - shareOf(a))) {
      const share = shareOf(call);
      if (share >= LEAST_SHARE) {
        boxes.push([depth, start, share, call.name]);
        visit(call.calls, depth + 1, start);
      }
      start += share;
    }
  };
  visit(root.calls, 0, 0);
  return boxes;
}

function shareOf({ self, calls }: Call): number {
  return calls.reduce((sum, call) => sum + shareOf(call), self);
}

function ownerOf([, , , name]: Box): number {
  return OWNERS.findIndex(([pattern]) => pattern.test(name));
}

function drawBoxes(boxes: readonly Box[], colour: string): NonNullable<CustomSeriesOption['renderItem']> {
  return ({ dataIndex }, api) => {
    const box = boxes[dataIndex];
    if (box === undefined) return null;
    const [depth, start, share] = box;
    const [x = 0, y = 0] = api.coord([start, depth]);
    const [end = 0] = api.coord([start + share, depth]);
    const width = Math.max(0, end - x - 0.5);
    return {
      type: 'group',
      children: [
        {
          type: 'rect',
          shape: { x, y, width, height: ROW - 1 },
          style: { fill: colour },
        },
        {
          type: 'text',
          style: { x: x + 3, y: y + 3, text: label(box, width), fontSize: 11, fill: '#222222' },
        },
      ],
    };
  };
}

/** As much of the function's name, and then of its place, as there is room for. */
function label([, , share, name]: Box, width: number): string {
  const room = Math.floor((width - 6) / CHARACTER);
  const text = `${name.replace(/ {2}dist\//, '  ')}  ${(share * 100).toFixed(1)}%`;
  if (text.length <= room) return text;
  const short = name.split('  ')[0] ?? '';
  return short.length <= room ? short : room >= 4 ? `${short.slice(0, room - 1)}…` : '';
}
