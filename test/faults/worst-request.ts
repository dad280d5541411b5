import t from 'tap';
import type { HeavyRequest } from '../../bench/harness/heavy-requests.ts';
import {
  createMeter,
  HEAVY_PAYLOADS,
  OTHER_REQUESTS,
  PAYLOAD_ROUTES,
  plainRequest,
} from '../../bench/harness/heavy-requests.ts';

/** How many times a plain request of equal size. The worst that is known is at 18, of which JSON.parse is half; it was at 43. */
const BOUND = 25;
const ROUNDS = 4;

const measure = createMeter();

/** The least of some rounds: what the machine does besides only adds to one. */
async function cost(request: HeavyRequest): Promise<number> {
  let least = Infinity;
  for (let round = 0; round < ROUNDS; round++) least = Math.min(least, (await measure(request)).ms);
  return least;
}

void t.test('no payload costs many times a plain one of equal size', async (t) => {
  for (const { limit, request } of PAYLOAD_ROUTES) {
    const plain = await cost(plainRequest(limit));
    for (const [name, payload] of Object.entries(HEAVY_PAYLOADS)) {
      const heavy = request(payload(limit));
      t.ok((await measure(heavy)).status < 300, `${heavy.target} takes it: ${name}`);
      const times = (await cost(heavy)) / plain;
      t.ok(times < BOUND, `${heavy.target}: ${name}, ${times.toFixed(1)} times`);
    }
  }
});

void t.test('nor does any other request', async (t) => {
  const plain = await cost(plainRequest(409_600));
  for (const [name, request] of Object.entries(OTHER_REQUESTS)) {
    const times = (await cost(request)) / plain;
    t.ok(times < BOUND, `${name}, ${times.toFixed(1)} times`);
  }
});
