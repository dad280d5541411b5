import { cutMembers } from '../events/json-text.ts';
import { RequestError } from './request-error.ts';

/**
 * The text of the payload, and of the metadata if there is any, as it was sent in a body that has been checked.
 *
 * @param limit bytes of payload, as JSON text.
 */
export function cutPayload(body: string, limit: number): { payload: string; metadata: string | undefined } {
  const { payload = '{}', metadata } = cutMembers(body, ['payload', 'metadata']);
  if (Buffer.byteLength(payload) > limit) {
    throw new RequestError(
      'PAYLOAD_TOO_LARGE',
      `payload: must have at most ${String(limit)} bytes of JSON text`,
    );
  }
  return { payload, metadata };
}
