export { Triggers } from './client.ts';
export { TriggersError, type ErrorCode, type FieldError } from './error.ts';
export type { TriggersEvent } from './event.ts';
export type { Acknowledged, Deleted, Events, NewEvent, SendOptions, Sent } from './events.ts';
export type { Inbox, InboxPage, InboxWalk, ListOptions } from './inbox.ts';
export type { CallOptions, TriggersOptions } from './options.ts';
export type { Health, Metadata } from './wire.ts';
