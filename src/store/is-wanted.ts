import type { StoredEvent } from './event.ts';

/** Whether source and type are those that are asked for; absent: any. */
export function isWanted(
  has: Pick<StoredEvent, 'source' | 'type'>,
  { source, type }: { readonly source?: string | undefined; readonly type?: string | undefined },
): boolean {
  return (source === undefined || has.source === source) && (type === undefined || has.type === type);
}
