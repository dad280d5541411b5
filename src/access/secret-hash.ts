import { hashSync } from '@node-rs/bcrypt';

/**
 * A verification takes 15 ms. A slow hash protects secrets that people choose. These secrets have 131 random bits, which nobody
 * can guess at any cost (NIST SP 800-63B, 5.1.2.2, asks only for a plain hash from 112 bits on). A higher cost would only slow
 * down a start: an instance needs a minute at 10, and fifteen seconds at 8, until it knows 1,000 keys again.
 */
const COST = 8;

/** Blocks the event loop as long as a verification takes: it is for the command line, not for the server. */
export function hashSecret(secret: string): string {
  return hashSync(secret, COST);
}
