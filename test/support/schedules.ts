/** Walks every order in which the requests of several actors can be carried out, go without an answer, or come late. */
import { createHash } from 'node:crypto';

export interface Actor {
  readonly name: string;
  /** Every request goes through `send`, every look at the clock through `now`. What it resolves to is the actor's answer. */
  readonly run: (send: (request: unknown) => Promise<unknown>, now: () => number) => Promise<unknown>;
  /** Starts only when all others have ended, like a client that tries again. */
  readonly last?: boolean;
}

export type Status = 'idle' | 'waiting' | 'done' | 'dead';

export interface Running {
  readonly name: string;
  readonly status: Status;
  readonly answer: unknown;
}

/** What the actors share. A new one is made for every schedule. */
export interface World {
  readonly actors: readonly Actor[];
  /** Carries out one request; throws what the engine would answer as an error. */
  readonly carryOut: (request: unknown) => unknown;
  /** Called after each step; throws when something is wrong. */
  readonly check: (actors: readonly Running[]) => void;
  readonly now: () => number;
  /** Lets time pass. */
  readonly jump: () => void;
  /** All that decides what can still happen, beside the actors; like `describe` something that has a JSON text. */
  readonly state: () => unknown;
  readonly describe: (request: unknown) => unknown;
}

/** How much may go wrong in one schedule. */
export interface Budget {
  /** Requests whose sender gets an error; each is carried out at any later moment, at once included, or never. */
  readonly lost: number;
  /** Senders that disappear with a request under way, which ends like a lost one. */
  readonly deaths: number;
  readonly jumps: number;
}

export interface Walked {
  /** Different orders of events, from the first to the last. */
  readonly schedules: number;
  /** Different situations that they lead through; each was visited and checked. */
  readonly states: number;
}

/** What is wrong, and the steps that led there. */
export class ScheduleError extends Error {
  override readonly name = 'ScheduleError';
}

/**
 * Depth first, each schedule from the start again: promises cannot be copied. Where a situation has been visited before
 * (what the world says, and the answers and times that each actor was told, on which alone its next step depends) its
 * continuations are known.
 *
 * @returns rejects with a `ScheduleError` at the first check that fails.
 */
export async function walkSchedules(newWorld: () => World, budget: Budget): Promise<Walked> {
  const { stackTraceLimit } = Error;
  // Failed conditions are errors, and taking their stacks would be most of the work.
  Error.stackTraceLimit = 0;
  try {
    return await walk(newWorld, budget);
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

async function walk(newWorld: () => World, budget: Budget): Promise<Walked> {
  const known = new Map<string, number>();
  const path: Branch[] = [];
  for (;;) {
    let found = await follow(newWorld(), budget, path, known);
    for (;;) {
      const branch = path.at(-1);
      if (branch === undefined) return { schedules: found, states: known.size };
      branch.schedules += found;
      if (++branch.taken < branch.choices) break;
      known.set(branch.state, branch.schedules);
      found = branch.schedules;
      path.pop();
    }
  }
}

interface Branch {
  readonly state: string;
  readonly choices: number;
  taken: number;
  /** The choices that are done. */
  schedules: number;
}

/** Runs one schedule: along the path, then by first choices to an end or to a known situation. Gives its schedules. */
async function follow(
  world: World,
  budget: Budget,
  path: Branch[],
  known: ReadonlyMap<string, number>,
): Promise<number> {
  const run = startRun(world, budget);
  const steps: string[] = [];
  for (let depth = 0; ; depth++) {
    const choices = run.choices();
    if (choices.length === 0) return 1;
    let branch = path[depth];
    if (branch === undefined) {
      const state = run.state();
      const schedules = known.get(state);
      if (schedules !== undefined) return schedules;
      branch = { state, choices: choices.length, taken: 0, schedules: 0 };
      path.push(branch);
    }
    const choice = choices[branch.taken];
    if (choice === undefined) throw new Error('the same path led to another situation');
    steps.push(choice.name);
    choice.take();
    // An actor that got an answer continues to its next request, through promises that are all settled.
    await new Promise((resolve) => setImmediate(resolve));
    try {
      run.check();
    } catch (error) {
      throw new ScheduleError(`${String(error)}\nafter:\n  ${steps.join('\n  ')}`, { cause: error });
    }
  }
}

interface Request {
  readonly actor: string;
  readonly request: unknown;
}

function startRun(world: World, budget: Budget) {
  const actors = world.actors.map((actor) => startActor(actor, world.now));
  const left = { ...budget };
  /** Requests without an answer, which may still be carried out. */
  const astray: Request[] = [];

  const choices = () => {
    const busy = actors.some(({ status, last }) => !last && (status === 'idle' || status === 'waiting'));
    return [
      ...actors.flatMap((actor) => {
        if (actor.status === 'idle') return busy && actor.last ? [] : [actor.begin];
        if (actor.status !== 'waiting') return [];
        return [
          actor.answered(world.carryOut),
          ...(left.lost > 0 ? [lose(actor)] : []),
          ...(left.deaths > 0 ? [kill(actor)] : []),
        ];
      }),
      ...astray.map(arrive),
      ...(left.jumps > 0 ? [jump] : []),
    ];
  };

  const lose = (actor: ActorRun) => ({
    name: `${actor.name}: no answer`,
    take() {
      left.lost -= 1;
      astray.push(actor.fail());
    },
  });
  const kill = (actor: ActorRun) => ({
    name: `${actor.name}: dies waiting`,
    take() {
      left.deaths -= 1;
      astray.push(actor.die());
    },
  });
  const arrive = ({ actor, request }: Request, index: number) => ({
    name: `${actor}: what got no answer is carried out`,
    take() {
      astray.splice(index, 1);
      try {
        world.carryOut(request);
      } catch {
        // Nobody waits for the answer.
      }
    },
  });
  const jump = {
    name: 'time passes',
    take() {
      left.jumps -= 1;
      world.jump();
    },
  };

  return {
    choices,
    check() {
      world.check(actors);
    },
    state() {
      const under = actors.map(({ status, history }) => [status, history]);
      const lost = astray.map(({ request }) => JSON.stringify(world.describe(request))).sort();
      const all = JSON.stringify([under, lost, left, world.state()]);
      return createHash('sha256').update(all).digest('base64url');
    },
  };
}

interface ActorRun extends Running {
  readonly last: boolean;
  /** What the actor has learned: answers, and the time when it asked. */
  readonly history: readonly unknown[];
  readonly begin: { readonly name: string; take(): void };
  answered(carryOut: (request: unknown) => unknown): { readonly name: string; take(): void };
  /** Both give the request that has no answer. */
  fail(): Request;
  die(): Request;
}

function startActor({ name, run, last = false }: Actor, now: () => number): ActorRun {
  let waiting: { request: unknown; resolve: (answer: unknown) => void; reject: (error: unknown) => void };
  const send = (request: unknown) =>
    new Promise((resolve, reject) => {
      waiting = { request, resolve, reject };
      actor.status = 'waiting';
    });
  const look = () => {
    const time = now();
    actor.history.push(time);
    return time;
  };
  const tell = (what: unknown) => {
    actor.history.push(what);
    actor.status = 'done';
  };
  const actor = {
    name,
    last,
    status: 'idle' as Status,
    answer: undefined as unknown,
    history: [] as unknown[],
    begin: {
      name: `${name}: begins`,
      take() {
        tell('begin');
        run(send, look).then(
          (answer) => (actor.answer = answer),
          (error: unknown) => (actor.answer = error),
        );
      },
    },
    answered: (carryOut: (request: unknown) => unknown) => ({
      name: `${name}: is answered`,
      take() {
        const { request, resolve, reject } = waiting;
        try {
          const answer = carryOut(request);
          tell(answer);
          resolve(answer);
        } catch (error) {
          tell(error);
          reject(error);
        }
      },
    }),
    fail() {
      const { request, reject } = waiting;
      tell('lost');
      reject(new Error('no answer'));
      return { actor: name, request };
    },
    die() {
      actor.status = 'dead';
      return { actor: name, request: waiting.request };
    },
  };
  return actor;
}
