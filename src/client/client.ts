import { createCall, type Call } from './call.ts';
import { createEvents, type Events } from './events.ts';
import { createInbox, type Inbox } from './inbox.ts';
import { readOptions, type CallOptions, type TriggersOptions } from './options.ts';
import { createQuarantine, type Quarantine } from './quarantine.ts';
import type { Health } from './wire.ts';
import { SYSTEM } from './world.ts';

/**
 * A client of one service with one key. It holds no connection of its own and needs no closing.
 *
 * Calls reject with a `TriggersError`, with the reason of the signal that ended them, or at once with a `TypeError` for
 * arguments that cannot be sent.
 */
export class Triggers {
  readonly events: Events;
  readonly inbox: Inbox;
  readonly quarantine: Quarantine;
  readonly #call: Call;

  /** Throws a `TypeError` for options that cannot work. */
  constructor(options: TriggersOptions) {
    this.#call = createCall(readOptions(options), SYSTEM);
    this.events = createEvents(this.#call);
    this.inbox = createInbox(this.#call, SYSTEM);
    this.quarantine = createQuarantine(this.#call);
  }

  /** Whether the service is alive, and its version. */
  async health({ signal }: CallOptions = {}): Promise<Health> {
    const { body } = await this.#call({
      method: 'GET',
      path: '/v1/health',
      signal,
      success: { statuses: [200], member: 'status' },
    });
    return body as Health;
  }
}
