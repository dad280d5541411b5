import { formatMicros } from '../../events/clock.ts';
import type { StoredEvent } from '../event.ts';
import { decodeClaim, decodeClaimExpiry, claimExpiryKey, isClaimExpiryKey } from './embedded-claims.ts';
import { formatId, idKey, ID_BYTES, locate, locateForAnyTenant } from './event-id.ts';
import { decodeEvent, HEADER_BYTES, recordedId, recordedTenant } from './event-record.ts';
import { decodeIdEntry } from './id-index.ts';
import { inboxEntry, inboxKey, inboxSequence, inboxTenant } from './inbox-index.ts';
import { decodeLease } from './lease-record.ts';
import { isIntact, jsonBody } from './seal.ts';
import { sequenceKey, sequenceOf } from './sequence.ts';
import type { Sequence } from './sequence.ts';
import { TABLES } from './snapshot.ts';
import type { Snapshot, TableName } from './snapshot.ts';

/** One thing that is wrong with one entry, or with one table. */
export interface Finding {
  readonly table: TableName;
  /** In hex; empty where it is the table that is damaged. */
  readonly key: string;
  /** What the entry was, as far as it can be told. */
  readonly what: string;
  readonly problem: string;
  /** What users of the service see of it. */
  readonly effect: string;
}

export interface Verdict {
  readonly entries: Readonly<Record<TableName, number>>;
  readonly pending: number;
  readonly findings: number;
}

interface Surroundings {
  /** Called with each finding as soon as it is made: a folder may have any number. */
  readonly onFinding: (finding: Finding) => void;
  /** Called after each entry, with the number of entries so far. */
  readonly onEntry: (read: number) => void;
}

type Report = (what: string, problem: string, effect: string) => void;

/** Looks at one entry. */
type Check = (key: Buffer, value: Buffer, report: Report) => void;

const CHECKSUM = 'its checksum does not match';

/**
 * Reads every entry of every table: its seal, its form, that it is found by its key, and that the tables agree with each other in
 * both directions. Takes memory for one entry, whatever the size.
 */
export function verify(snapshot: Snapshot, { onFinding, onEntry }: Surroundings): Verdict {
  const entries = Object.fromEntries(TABLES.map((name) => [name, 0])) as Record<TableName, number>;
  let findings = 0;
  let read = 0;
  let pending = 0;
  const checks: Readonly<Record<TableName, Check>> = {
    meta: checkNote,
    events: (key, value, report) => {
      if (checkEvent(snapshot, key, value, report) === 'pending') pending++;
    },
    inbox: (key, value, report) => {
      checkInbox(snapshot, key, value, report);
    },
    leases: (key, value, report) => {
      checkLease(snapshot, key, value, report);
    },
    quarantine: (key, value, report) => {
      checkQuarantine(snapshot, key, value, report);
    },
    done: (key, value, report) => {
      checkDone(snapshot, key, value, report);
    },
    ids: (key, value, report) => {
      checkId(snapshot, key, value, report);
    },
    claims: (key, value, report) => {
      checkClaim(snapshot, key, value, report);
    },
    'claims-by-expiry': (key, value, report) => {
      checkClaimExpiry(snapshot, key, value, report);
    },
    keys: checkApiKey,
  };
  for (const table of TABLES) {
    const reportOn =
      (key: string): Report =>
      (what, problem, effect) => {
        findings++;
        onFinding({ table, key, what, problem, effect });
      };
    let previous: Buffer | undefined;
    for (const { key, value } of snapshot.entries(table)) {
      entries[table]++;
      const report = reportOn(key.toString('hex'));
      checkPlace(snapshot, table, key, previous, report);
      checks[table](key, value, report);
      previous = key;
      onEntry(++read);
    }
    checkCount(snapshot.counts[table], entries[table], reportOn(''));
  }
  return { entries, pending, findings };
}

/** The pages that lead to an entry have no seal. Reading in order does not show that they lead elsewhere; looking for a key does. */
function checkPlace(
  snapshot: Snapshot,
  table: TableName,
  key: Buffer,
  previous: Buffer | undefined,
  report: Report,
): void {
  const effect = 'requests for it find nothing; restore a backup';
  if (previous !== undefined && previous.compare(key) >= 0) {
    report('an entry', 'it comes again or out of order: pages that lead to entries are damaged', effect);
  } else if (snapshot.get(table, key) === undefined) {
    report('an entry', 'it is not found by its key: pages that lead to it are damaged', effect);
  }
}

function checkCount(counted: number, found: number, report: Report): void {
  if (counted === found) return;
  report(
    'the table',
    `LMDB counts ${String(counted)} entries, and gives ${String(found)}: pages that lead to entries are damaged`,
    'what is missing is lost; restore a backup',
  );
}

function checkNote(key: Buffer, value: Buffer, report: Report): void {
  if (isIntact(key, value)) return;
  report(
    `the note ${JSON.stringify(key.toString('latin1'))}`,
    CHECKSUM,
    'the next start writes it again; until then nothing that has expired is deleted for a day',
  );
}

/** Tells the state of the event if its record is sound. */
function checkEvent(
  snapshot: Snapshot,
  key: Buffer,
  value: Buffer,
  report: Report,
): 'pending' | 'quarantined' | 'acknowledged' | undefined {
  const sequence = sequenceOf(key);
  if (sequence === undefined) {
    report(remains(value), 'its key is not the time of an event', 'no request finds the event');
    return undefined;
  }
  const event = isIntact(key, value) ? decoded(value) : undefined;
  if (event === undefined) {
    report(
      `${remains(value)}, of ${formatMicros(sequence)}`,
      isIntact(key, value) ? 'its fields do not fit into it' : CHECKSUM,
      'reading it is answered with 500, and inbox pages leave it out; DELETE by its id removes it',
    );
    return undefined;
  }
  const what = nameOf(event);
  checkWayTo(snapshot, event, sequence, what, report);
  const isDone = snapshot.get('done', key) !== undefined;
  const expected = inboxEntry(event, sequence);
  const found = snapshot.get('inbox', expected.key);
  if (isDone && event.acknowledgedAt !== null)
    report(what, 'it is acknowledged twice, in its record and beside it', 'the time in its record is shown');
  const isQuarantined = snapshot.get('quarantine', expected.key) !== undefined;
  if (isDone || event.acknowledgedAt !== null) {
    if (found !== undefined)
      report(what, 'it is acknowledged, and still in the inbox', 'it is counted as pending');
    if (isQuarantined) report(what, 'it is acknowledged, and still in quarantine', 'it is listed there');
  } else if (isQuarantined) {
    if (found !== undefined) report(what, 'it is in the inbox and in quarantine', 'both list it');
    return 'quarantined';
  } else if (found === undefined) {
    report(what, 'it is pending, and not in the inbox', 'consumers are not given it; GET by its id works');
  } else if (isIntact(expected.key, found) && !found.equals(expected.value)) {
    report(what, 'its inbox entry has another source or type', 'filters do not find it');
  }
  return isDone || event.acknowledgedAt !== null ? 'acknowledged' : 'pending';
}

/** Whether the id of an event leads to its place. */
function checkWayTo(
  snapshot: Snapshot,
  event: StoredEvent,
  sequence: Sequence,
  what: string,
  report: Report,
): void {
  const id = idKey(event.id);
  if (id === undefined || locate(id, event.tenant) === sequence) return;
  const entry = snapshot.get('ids', id);
  // A damaged entry is found in its own table.
  if (entry !== undefined && !isIntact(id, entry)) return;
  const led = entry && decodeIdEntry(entry);
  if (led?.sequence === sequence && led.tenant === event.tenant) return;
  report(
    what,
    led === undefined ? 'the index of ids does not have it' : 'the index of ids leads elsewhere',
    'requests by its id are answered with 404; the inbox shows it',
  );
}

function checkInbox(snapshot: Snapshot, key: Buffer, value: Buffer, report: Report): void {
  const tenant = inboxTenant(key);
  const sequence = tenant === undefined ? undefined : inboxSequence(key, tenant);
  if (tenant === undefined || sequence === undefined) {
    report('an inbox entry', 'its key is not a tenant and a time', 'its event is missing in the inbox');
    return;
  }
  const what = `the inbox entry of tenant ${tenant} for the event of ${formatMicros(sequence)}`;
  if (!isIntact(key, value)) {
    report(what, CHECKSUM, 'inbox pages may leave the event out; GET by its id works');
    return;
  }
  const recordKey = sequenceKey(sequence);
  const record = snapshot.get('events', recordKey);
  if (record === undefined) {
    report(what, 'there is no such event', 'the event is lost; the inbox counts it');
  } else if (isIntact(recordKey, record) && recordedTenant(record) !== tenant) {
    report(what, 'the event of this time is of another tenant', 'the event is lost; the inbox counts it');
  }
}

function checkLease(snapshot: Snapshot, key: Buffer, value: Buffer, report: Report): void {
  const sequence = sequenceOf(key);
  const effect = 'its event may be handed out twice, and its attempts are not known';
  if (sequence === undefined) {
    report('a lease', 'its key is not the time of an event', effect);
    return;
  }
  const what = `the lease of the event of ${formatMicros(sequence)}`;
  if (!isIntact(key, value)) report(what, CHECKSUM, effect);
  else if (snapshot.get('inbox', inboxKey(decodeLease(value).tenant, sequence)) === undefined) {
    report(what, 'its event is not in the inbox', 'none');
  }
}

function checkQuarantine(snapshot: Snapshot, key: Buffer, value: Buffer, report: Report): void {
  const tenant = inboxTenant(key);
  const sequence = tenant === undefined ? undefined : inboxSequence(key, tenant);
  if (tenant === undefined || sequence === undefined) {
    report('an entry of the quarantine', 'its key is not a tenant and a time', 'its event is not listed');
    return;
  }
  const what = `the quarantine of tenant ${tenant} for the event of ${formatMicros(sequence)}`;
  const recordKey = sequenceKey(sequence);
  const record = snapshot.get('events', recordKey);
  if (!isIntact(key, value)) {
    report(
      what,
      CHECKSUM,
      'it is not listed, and reading it is answered with 500; DELETE by its id removes it',
    );
  } else if (record === undefined) {
    report(what, 'there is no such event', 'the event is lost');
  } else if (isIntact(recordKey, record) && recordedTenant(record) !== tenant) {
    report(what, 'the event of this time is of another tenant', 'the event is lost');
  }
}

function checkDone(snapshot: Snapshot, key: Buffer, value: Buffer, report: Report): void {
  const sequence = sequenceOf(key);
  if (sequence === undefined) {
    report('an acknowledgement', 'its key is not the time of an event', 'its event may be seen again');
    return;
  }
  const what = `the acknowledgement of the event of ${formatMicros(sequence)}`;
  if (!isIntact(key, value)) {
    report(what, CHECKSUM, 'reading the event by its id is answered with 500; DELETE by its id removes it');
  } else if (snapshot.get('events', sequenceKey(sequence)) === undefined) {
    report(what, 'there is no such event', 'the event is lost; it had been acknowledged');
  }
}

function checkId(snapshot: Snapshot, key: Buffer, value: Buffer, report: Report): void {
  if (key.length !== ID_BYTES) {
    report('an entry in the index of ids', 'its key is not an id', 'its event is not found by its id');
    return;
  }
  const id = formatId(key, 0);
  if (!isIntact(key, value)) {
    report(
      `the index entry of event ${id}`,
      CHECKSUM,
      'requests by this id are answered with 500; the inbox shows the event',
    );
    return;
  }
  const { sequence, tenant } = decodeIdEntry(value);
  const what = `the index entry of event ${id} of tenant ${tenant}`;
  const recordKey = sequenceKey(sequence);
  const record = snapshot.get('events', recordKey);
  if (record === undefined) {
    report(what, 'there is no such event', 'the event is lost; requests by its id are answered with 500');
  } else if (isIntact(recordKey, record) && !recordedId(record).equals(key)) {
    report(
      what,
      'another event is in its place',
      'the event is lost; requests by its id are answered with 500',
    );
  }
}

function checkClaim(snapshot: Snapshot, key: Buffer, value: Buffer, report: Report): void {
  const name = `claim ${key.toString('hex')}`;
  if (!isIntact(key, value)) {
    report(name, CHECKSUM, 'requests with its idempotency key, or equal events, are answered with 500');
    return;
  }
  const claim = decodeClaim(value);
  const what = `${name} of event ${claim.id}`;
  if (snapshot.get('claims-by-expiry', claimExpiryKey(claim.expiresAt, key)) === undefined) {
    report(what, 'the index by expiry does not have it', 'it is never deleted');
  }
  // The event may be deleted by now. The time of one that is there can be compared; its tenant is in the hash only.
  const id = idKey(claim.id);
  const event = id && recordOf(snapshot, id);
  if (event !== undefined && event.createdAt !== claim.createdAt) {
    report(what, 'its event has another time', 'a repeated request is answered with a wrong created_at');
  }
}

function checkClaimExpiry(snapshot: Snapshot, key: Buffer, value: Buffer, report: Report): void {
  const effect = 'none; the sweep deletes it';
  if (!isClaimExpiryKey(key)) {
    report('an entry in the index of claims by expiry', 'its key is not a time and a claim', effect);
    return;
  }
  const { expiresAt, claim } = decodeClaimExpiry(key);
  const what = `the entry of claim ${claim.toString('hex')} in the index by expiry`;
  if (!isIntact(key, value)) {
    report(what, CHECKSUM, effect);
    return;
  }
  const record = snapshot.get('claims', claim);
  if (record === undefined) report(what, 'there is no such claim', effect);
  else if (isIntact(claim, record) && decodeClaim(record).expiresAt !== expiresAt) {
    report(what, 'its claim ends at another time', effect);
  }
}

function checkApiKey(key: Buffer, value: Buffer, report: Report): void {
  const what = `API key ${key.toString('latin1').replaceAll(/[^0-9A-Za-z]/g, '?')}`;
  if (!isIntact(key, value)) {
    report(what, CHECKSUM, 'requests with it are answered with 500; create another key in its place');
  } else if ((jsonBody(value) as { keyId: unknown }).keyId !== key.toString('latin1')) {
    report(what, 'its record is that of another key', 'create another key in its place');
  }
}

/** The intact record with this id, where its id or the index of ids leads. */
function recordOf(snapshot: Snapshot, id: Buffer): StoredEvent | undefined {
  const at = (sequence: Sequence): StoredEvent | undefined => {
    const key = sequenceKey(sequence);
    const value = snapshot.get('events', key);
    const isIt = value !== undefined && isIntact(key, value) && recordedId(value).equals(id);
    return isIt ? decoded(value) : undefined;
  };
  const here = at(locateForAnyTenant(id));
  if (here !== undefined) return here;
  const entry = snapshot.get('ids', id);
  return entry !== undefined && isIntact(id, entry) ? at(decodeIdEntry(entry).sequence) : undefined;
}

/** Undefined when the fields that an intact record names are not those of an event. */
function decoded(value: Buffer): StoredEvent | undefined {
  if (value.length < HEADER_BYTES) return undefined;
  try {
    return decodeEvent(value);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function nameOf({ id, tenant, createdAt }: StoredEvent): string {
  return `event ${id} of tenant ${tenant}, of ${formatMicros(createdAt)}`;
}

/** What a damaged record says that it was, which may itself be damaged. */
function remains(value: Buffer): string {
  if (value.length < HEADER_BYTES) return 'an event';
  const tenant = recordedTenant(value);
  const plausible = /^[A-Za-z0-9_-]{1,64}$/.test(tenant);
  return `event ${formatId(recordedId(value), 0)}${plausible ? ` of tenant ${tenant}` : ''}`;
}
