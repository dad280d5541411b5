import Type from 'typebox';
import type { TSchema } from 'typebox';

interface Header {
  readonly description: string;
  /** Whether every reply that may have it has it. */
  readonly required: boolean;
  readonly schema: TSchema;
}

const seconds = Type.Integer({ minimum: 1 });
const limited = 'only if the key has a limit';

/** Headers of more than one reply. */
export const SHARED_HEADERS = {
  'X-Request-ID': {
    description: 'The id of the request: the one that was sent, or a new UUID',
    required: true,
    schema: Type.String({ minLength: 1, maxLength: 128 }),
  },
  'Server-Timing': {
    description:
      'Milliseconds of the request in the service: `auth` until the key was accepted, `store` for the event store, `total`; only if the key was accepted',
    required: false,
    schema: Type.String({
      pattern: '^auth;dur=[0-9.]+, (store;dur=[0-9.]+, )?total;dur=[0-9.]+$',
      examples: ['auth;dur=0.021, store;dur=0.734, total;dur=0.812'],
    }),
  },
  'RateLimit-Limit': {
    description: `Requests a minute that the key may send to this instance; ${limited}`,
    required: false,
    schema: Type.Integer({ minimum: 1 }),
  },
  'RateLimit-Remaining': {
    description: `Requests that are left in this window; ${limited}`,
    required: false,
    schema: Type.Integer({ minimum: 0 }),
  },
  'RateLimit-Reset': {
    description: `Seconds until the whole limit is there again; ${limited}`,
    required: false,
    schema: seconds,
  },
  'Retry-After': {
    description: 'Seconds after which to try again',
    required: true,
    schema: seconds,
  },
  'WWW-Authenticate': {
    description: 'How to send a key',
    required: true,
    schema: Type.String(),
  },
} as const satisfies Record<string, Header>;
export type SharedHeader = keyof typeof SHARED_HEADERS;

/** Of every reply to a caller whose key was accepted. */
export const ADMITTED_HEADERS = [
  'Server-Timing',
  'RateLimit-Limit',
  'RateLimit-Remaining',
  'RateLimit-Reset',
] as const;

/** Taken by every route. */
export const REQUEST_ID_PARAMETER = {
  name: 'X-Request-ID',
  in: 'header',
  required: false,
  description:
    'An id of your own for the request: 1-128 characters of `A-Z a-z 0-9 . _ : -`. Anything else is replaced by a new UUID',
  schema: { type: 'string' },
  example: 'checkout-4711.try-1',
} as const;
