/**
 * Checks whether LMDB can open a file. LMDB maps it into memory and trusts its content: damaged meta pages end the process with
 * SIGSEGV, and a page behind the end of the file with SIGBUS. The layout is that of liblmdb in lmdb-js 3.5.6
 * (`MDB_page_header`, `MDB_meta`, `MDB_db`, `MDB_node` in its mdb.c), little endian, 64 bits.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { UnusableStoreError } from '../store-errors.ts';

/**
 * Throws an `UnusableStoreError`, which says what to do next, unless LMDB can open the file or create it. Some pages are read, and
 * the list of free pages where the file is shorter than its last page. The content of other pages is not checked.
 */
export function checkLmdbFile(file: string): void {
  if (!existsSync(file)) return;
  for (let tries = 1; ; tries++) {
    const problem = problemOf(file);
    if (problem === undefined) return;
    // Another process may have written between two reads. Real damage stays.
    if (tries < 3) continue;
    throw new UnusableStoreError(
      `The store file ${file} cannot be opened: ${problem}. Put a backup in its place (one that "triggers-api backup" has made), or ` +
        'move it away to start with an empty store; docs/operations.md, "Backup and restore"',
    );
  }
}

function problemOf(file: string): string | undefined {
  const fd = openSync(file, 'r');
  try {
    const metas = readMetas(fd);
    if (metas === 'none') return undefined;
    if (metas === undefined) return 'its meta pages are damaged, or it is no LMDB file';
    const { size } = fstatSync(fd);
    const meta = metas[1].txnid > metas[0].txnid ? metas[1] : metas[0];
    const pages: Pages = { fd, pageBytes: meta.pageBytes, count: Math.floor(size / meta.pageBytes) };
    const needed = (meta.lastPage + 1) * meta.pageBytes;
    if (size < needed && !isFree(pages, meta)) {
      return `it has ${String(size)} bytes where ${String(needed)} are needed; it was cut off, or copied while the service ran`;
    }
    const roots = [meta.freeRoot, meta.mainRoot].filter((root) => root !== NO_PAGE);
    return roots.every((root) => readNodes(pages, root, meta.txnid) !== undefined)
      ? undefined
      : 'the pages that its meta pages name are damaged; it may have been copied while the service ran';
  } finally {
    closeSync(fd);
  }
}

interface Meta {
  readonly pageBytes: number;
  readonly freeRoot: number;
  readonly mainRoot: number;
  readonly lastPage: number;
  readonly txnid: number;
}

interface Pages {
  readonly fd: number;
  readonly pageBytes: number;
  /** Whole pages in the file. */
  readonly count: number;
}

/** 'none': the file is empty, and LMDB will make a new store of it. Undefined: the file is damaged. */
function readMetas(fd: number): readonly [Meta, Meta] | 'none' | undefined {
  const head = read(fd, 0, HEADER_BYTES + META_BYTES);
  if (head.length === 0) return 'none';
  const first = readMeta(head, 0);
  if (first === undefined) return undefined;
  const second = readMeta(read(fd, first.pageBytes, HEADER_BYTES + META_BYTES), 1);
  return second?.pageBytes === first.pageBytes ? [first, second] : undefined;
}

function readMeta(bytes: Buffer, page: number): Meta | undefined {
  if (bytes.length < HEADER_BYTES + META_BYTES) return undefined;
  const body = bytes.subarray(HEADER_BYTES);
  const isMeta =
    Number(bytes.readBigUInt64LE(0)) === page &&
    bytes.readUInt16LE(AT.flags) === META &&
    body.readUInt32LE(0) === MAGIC &&
    (body.readUInt32LE(4) & 0xffff) === DATA_VERSION;
  const pageBytes = body.readUInt32LE(FREE_DB);
  const isPower = pageBytes >= 512 && pageBytes <= 65_536 && (pageBytes & (pageBytes - 1)) === 0;
  if (!isMeta || !isPower) return undefined;
  const number = (at: number) => Number(body.readBigUInt64LE(at));
  const meta = {
    pageBytes,
    freeRoot: number(FREE_DB + DB_ROOT),
    mainRoot: number(FREE_DB + DB_BYTES + DB_ROOT),
    lastPage: number(FREE_DB + 2 * DB_BYTES),
    txnid: number(FREE_DB + 2 * DB_BYTES + 8),
  };
  const isPage = (root: number) => root === NO_PAGE || root <= meta.lastPage;
  return isPage(meta.freeRoot) && isPage(meta.mainRoot) && meta.lastPage <= MAX_PAGES ? meta : undefined;
}

/**
 * Whether all pages behind the end of the file are free. LMDB does not write pages that a transaction has both allocated and
 * freed, so an undamaged file may be shorter than its last page.
 */
function isFree(pages: Pages, { freeRoot, lastPage, txnid }: Meta): boolean {
  let missing = lastPage + 1 - pages.count;
  const walk = (page: number): boolean => {
    const nodes = page === NO_PAGE ? [] : readNodes(pages, page, txnid);
    return (
      nodes?.every((node) => {
        if ('child' in node) return walk(node.child);
        for (const [start, length] of freeRanges(node.value)) {
          missing -= Math.max(0, start + length - Math.max(start, pages.count));
        }
        return true;
      }) ?? false
    );
  };
  return walk(freeRoot) && missing <= 0;
}

/** Page ids of an `MDB_IDL`. After their number each is a page, nothing (0), or minus the length of the range that follows. */
function* freeRanges(value: Buffer): Generator<[start: number, length: number]> {
  let length = 1;
  for (let at = 8; at + 8 <= value.length; at += 8) {
    const entry = Number(value.readBigInt64LE(at));
    if (entry > 0) yield [entry, length];
    length = entry < 0 ? -entry : 1;
  }
}

/** The nodes of a page of a tree. Undefined: it is not the page that it should be, or it is newer than the transaction. */
function readNodes(
  pages: Pages,
  page: number,
  txnid: number,
): ({ child: number } | { value: Buffer })[] | undefined {
  const { fd, pageBytes } = pages;
  const bytes = page < pages.count ? read(fd, page * pageBytes, pageBytes) : Buffer.alloc(0);
  if (bytes.length < pageBytes) return undefined;
  const flags = bytes.readUInt16LE(AT.flags);
  const end = bytes.readUInt16LE(AT.lower) + HEADER_BYTES;
  const isTree =
    Number(bytes.readBigUInt64LE(0)) === page &&
    Number(bytes.readBigUInt64LE(AT.txnid)) <= txnid &&
    (flags === BRANCH || flags === LEAF) &&
    end >= HEADER_BYTES &&
    end <= pageBytes;
  if (!isTree) return undefined;
  const nodes = [];
  for (let at = HEADER_BYTES; at + 2 <= end; at += 2) {
    const node = bytes.readUInt16LE(at) + HEADER_BYTES;
    if (node + NODE_BYTES > pageBytes) return undefined;
    const low = bytes.readUInt32LE(node);
    const nodeFlags = bytes.readUInt16LE(node + 4);
    if (flags === BRANCH) {
      nodes.push({ child: low + nodeFlags * 2 ** 32 });
      continue;
    }
    const data = node + NODE_BYTES + bytes.readUInt16LE(node + 6);
    const isLarge = (nodeFlags & BIG_DATA) !== 0;
    if (data + (isLarge ? 8 : low) > pageBytes) return undefined;
    const value = isLarge
      ? read(fd, Number(bytes.readBigUInt64LE(data)) * pageBytes + HEADER_BYTES, low)
      : bytes.subarray(data, data + low);
    nodes.push({ value });
  }
  return nodes;
}

/** Reads `length` bytes, or fewer where the file ends. */
function read(fd: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(fd, buffer, 0, length, position));
}

const MAGIC = 0xbeefc0de;
const DATA_VERSION = 2;
const [BRANCH, LEAF, META] = [1, 2, 8] as const;
const BIG_DATA = 1;
const HEADER_BYTES = 24;
const AT = { txnid: 8, flags: 18, lower: 20 };
const NODE_BYTES = 8;
/** Offset of the free list's tree in a meta page. Its padding holds the page size, and the main tree follows it. */
const FREE_DB = 24;
const DB_BYTES = 48;
const DB_ROOT = 40;
const META_BYTES = 144;
/** Root of a tree without pages: all bits are set. */
const NO_PAGE = Number(0xffff_ffff_ffff_ffffn);
/** A larger number is damage, and would not be exact in a double. */
const MAX_PAGES = 2 ** 40;
