import t from 'tap';
import type { HeavyRequest } from '../../bench/harness/heavy-requests.ts';
import {
  createMeter,
  HEAVY_PAYLOADS,
  OTHER_REQUESTS,
  PAYLOAD_ROUTES,
  plainRequest,
} from '../../bench/harness/heavy-requests.ts';
import { medianOf } from '../../bench/report/results.ts';

/** How many times a plain request of equal size. The worst that is known is at 18, of which JSON.parse is half; it was at 43. */
const BOUND = 25;
const ROUNDS = 5;

const measure = createMeter();

/** How many times as much: the median of some rounds, in each of which both take their turn, because a processor changes its speed. */
async function timesOf(heavy: HeavyRequest, plain: HeavyRequest): Promise<number> {
  const rounds: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const { ms } = await measure(heavy);
    rounds.push(ms / (await measure(plain)).ms);
  }
  return medianOf(rounds);
}

void t.test('no payload costs many times a plain one of equal size', async (t) => {
  for (const { limit, request } of PAYLOAD_ROUTES) {
    const plain = plainRequest(limit);
    for (const [name, payload] of Object.entries(HEAVY_PAYLOADS)) {
      const heavy = request(payload(limit));
      t.ok((await measure(heavy)).status < 300, `${heavy.target} takes it: ${name}`);
      const times = await timesOf(heavy, plain);
      t.ok(times < BOUND, `${heavy.target}: ${name}, ${times.toFixed(1)} times`);
    }
  }
});

void t.test('nor does any other request', async (t) => {
  const plain = plainRequest(409_600);
  for (const [name, request] of Object.entries(OTHER_REQUESTS)) {
    const times = await timesOf(request, plain);
    t.ok(times < BOUND, `${name}, ${times.toFixed(1)} times`);
  }
});
