/** The caller's place in a distributed trace, in lower-case hexadecimal. */
export interface Trace {
  /** 32 digits: the same in all services that a transaction passes through. */
  readonly traceId: string;
  /** 16 digits: the caller's span. */
  readonly parentId: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/;
const ZEROS = /^0+$/;

/**
 * Reads a `traceparent` header: W3C Trace Context (https://www.w3.org/TR/trace-context/), section 3.2.2, for version 00. Of a later
 * version the parts that it shares with 00 are read, and more may follow behind a dash (section 3.2.4).
 *
 * @returns undefined for what the recommendation calls invalid; the request is then served as if the header were not there.
 */
export function parseTraceparent(value: string): Trace | undefined {
  const [, version, traceId = '', parentId = '', more] = TRACEPARENT.exec(value) ?? [];
  if (version === undefined || version === 'ff') return undefined;
  if (version === '00' && more !== undefined) return undefined;
  return ZEROS.test(traceId) || ZEROS.test(parentId) ? undefined : { traceId, parentId };
}
