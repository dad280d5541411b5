import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import type { RequestHead } from './head.ts';
import type { Headers, Reply } from './reply.ts';

const compress = promisify(gzip);

/** What is served at one URL, in both of its forms. */
export interface Content {
  readonly contentType: string;
  readonly identity: Buffer;
  readonly gzip: Buffer;
  /** Of the contents, without the quotes of an entity tag. */
  readonly hash: string;
}

/** Compresses it, in a thread of libuv's pool: about 0.1 s for the largest file. */
export async function makeContent(contentType: string, bytes: Buffer): Promise<Content> {
  return {
    contentType,
    identity: bytes,
    gzip: await compress(bytes, { level: constants.Z_BEST_COMPRESSION }),
    hash: createHash('sha256').update(bytes).digest('base64url').slice(0, 22),
  };
}

/** Makes it at the first call and keeps it. Callers at the same time share the work; after a failure the next call tries again. */
export function keep(make: () => Promise<Content>): () => Promise<Content> {
  let kept: Promise<Content> | undefined;
  return () => {
    kept ??= make().catch((error: unknown) => {
      kept = undefined;
      throw error;
    });
    return kept;
  };
}

/**
 * The form of a content that the client takes, or 304 where it has that form already.
 *
 * @param headers go with both.
 */
export function contentReply(
  content: Content,
  { acceptEncoding, ifNoneMatch }: RequestHead,
  headers: Headers,
): Reply {
  const zipped = takesGzip(acceptEncoding);
  // RFC 9110, section 8.8.3.3: the two forms have different strong tags.
  const etag = `"${content.hash}${zipped ? '-gzip' : ''}"`;
  const all: Headers = [...headers, ['etag', etag]];
  if (matchesEtag(ifNoneMatch, etag)) return { status: 304, body: null, headers: all };
  return {
    status: 200,
    body: zipped ? content.gzip : content.identity,
    contentType: content.contentType,
    headers: zipped ? [...all, ['content-encoding', 'gzip']] : all,
  };
}

/** RFC 9110, section 12.5.3, for the names that browsers and curl send; `*` alone gets the plain form. */
function takesGzip(acceptEncoding = ''): boolean {
  return acceptEncoding.split(',').some((member) => isWanted(member, 'gzip'));
}

/** Whether a client asks for HTML by name, as browsers do; curl and libraries take anything. */
export function takesHtml(accept = ''): boolean {
  return accept.split(',').some((member) => isWanted(member, 'text/html'));
}

/** Whether a member of a list is this name, with any weight but 0. */
function isWanted(member: string, name: string): boolean {
  const [given = '', ...parameters] = member.split(';').map((part) => part.trim().toLowerCase());
  return given === name && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter));
}

/** RFC 9110, section 13.1.2: compared weakly, since a proxy that compresses weakens tags. */
export function matchesEtag(ifNoneMatch: string | undefined, etag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  if (ifNoneMatch.trim() === '*') return true;
  const opaque = (tag: string): string => tag.trim().replace(/^W\//, '');
  return ifNoneMatch.split(',').some((member) => opaque(member) === opaque(etag));
}
