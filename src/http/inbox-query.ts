import type { InboxQuery } from '../events/inbox.ts';

/** Query parameters of an inbox route, as the contracts share them. */
export interface InboxParameters {
  readonly limit?: number;
  readonly cursor?: string;
  readonly source?: string;
  readonly event_type?: string;
}

/** The page to ask the domain for; it has 50 events unless the query says otherwise. */
export function inboxQuery({ limit = 50, event_type: type, ...rest }: InboxParameters): InboxQuery {
  return { limit, ...rest, ...(type === undefined ? {} : { type }) };
}
