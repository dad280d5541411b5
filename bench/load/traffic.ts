import { randomUUID } from 'node:crypto';
import type { Call } from './job.ts';

/** A stream of requests, shared by all clients of a load. */
export interface Traffic {
  /** All requests are this one. */
  readonly constant?: Call;
  next(): Call;
  /** Gets the body of a right answer. Absent: bodies are not looked at. */
  learn?(call: Call, body: string): void;
}

const PUSH = {
  ref: 'refs/heads/main',
  before: '95790bf891e76fee5e1747ab589903a6a1f80f22',
  after: '6dcb09b5b57875f334f61aebed695e2e4193db5e',
  repository: { id: 186853002, full_name: 'octocat/Hello-World' },
  commits: 1,
};

/** Some 270 bytes, like many a webhook's. */
export const EVENT = JSON.stringify({ source: 'github', event_type: 'push', payload: PUSH });

/** Like `EVENT`, but equal to none before it. */
export function uniqueEvent(): string {
  return JSON.stringify({
    source: 'github',
    event_type: 'push',
    payload: { ...PUSH, after: randomUUID() },
  });
}

export const HEALTH: Call = { method: 'GET', path: '/v1/health', status: 200 };
const STATUS: Call = { method: 'GET', path: '/status', status: 200 };
export const CREATE: Call = { method: 'POST', path: '/v1/events', body: EVENT, status: 201 };
/** Events of a call for many. */
export const BATCH_SIZE = 100;
const CREATE_BATCH: Call = {
  method: 'POST',
  path: '/v1/events/batch',
  body: `{"events":[${Array.from({ length: BATCH_SIZE }, () => EVENT).join(',')}]}`,
  status: 200,
};
const V1_PAGE: Call = { method: 'GET', path: '/v1/inbox?limit=50', status: 200 };
const PAGE: Call = { method: 'GET', path: '/inbox?limit=50', status: 200 };

export const TRAFFIC: Readonly<Record<string, () => Traffic>> = {
  health: () => constant(HEALTH),
  status: () => constant(STATUS),
  'create-v1': () => constant(CREATE),
  'create-batch': () => constant(CREATE_BATCH),
  'create-unversioned': () => ({
    next: () => ({ method: 'POST', path: '/events', body: uniqueEvent(), status: 200 }),
  }),
  'inbox-v1': () => constant(V1_PAGE),
  'inbox-unversioned': () => constant(PAGE),
  'walk-v1': walk,
  mixed,
  turnover,
};

function constant(call: Call): Traffic {
  return { constant: call, next: () => call };
}

/** Page after page, and from the start again at the end. For one client: a walk has one place. */
function walk(): Traffic {
  let cursor: string | null = null;
  return {
    next: () =>
      cursor === null
        ? V1_PAGE
        : { ...V1_PAGE, path: `${V1_PAGE.path}&cursor=${encodeURIComponent(cursor)}` },
    learn(_, body) {
      const page = JSON.parse(body) as { pagination: { next_cursor: string | null } };
      cursor = page.pagination.next_cursor;
    },
  };
}

/** Per 17 requests: 10 create, 3 inbox, 2 get, 1 acknowledge, 1 health. */
const MIX = 'cicgcchcicgcacicc';

/** Events that are known to be there and not yet acknowledged: enough for what is under way in all clients. */
const KNOWN = 1_000;

function mixed(): Traffic {
  const known: string[] = [];
  let at = 0;
  return {
    next() {
      const kind = MIX[at++ % MIX.length];
      if (kind === 'h') return HEALTH;
      if (kind === 'i') return V1_PAGE;
      const oldest = kind === 'a' && known.length > KNOWN / 2 ? known.shift() : undefined;
      if (oldest !== undefined) return { method: 'POST', path: `/v1/events/${oldest}/ack`, status: 200 };
      const newest = kind === 'g' ? known.at(-1) : undefined;
      if (newest !== undefined) return { method: 'GET', path: `/v1/events/${newest}`, status: 200 };
      return CREATE;
    },
    learn(call, body) {
      if (call !== CREATE || known.length >= KNOWN) return;
      known.push((JSON.parse(body) as { event_id: string }).event_id);
    },
  };
}

/** As many deleted as created, and now and then a page: a store that neither grows nor empties, for as long as it runs. */
function turnover(): Traffic {
  const known: string[] = [];
  let at = 0;
  return {
    next() {
      if (++at % 50 === 0) return V1_PAGE;
      const oldest = known.length > KNOWN ? known.shift() : undefined;
      return oldest === undefined ? CREATE : { method: 'DELETE', path: `/v1/events/${oldest}`, status: 200 };
    },
    learn(call, body) {
      if (call === CREATE) known.push((JSON.parse(body) as { event_id: string }).event_id);
    },
  };
}
