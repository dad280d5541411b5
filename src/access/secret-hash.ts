import { hashSync } from '@node-rs/bcrypt';

/**
 * 15 ms a verification. A slow hash protects secrets that people choose; ours has 131 random bits, which nobody guesses
 * at any cost (NIST SP 800-63B, 5.1.2.2, asks for a plain hash from 112 bits on). What a higher cost would buy is a slow
 * start: at 10 an instance needs a minute, at 8 fifteen seconds until it knows 1,000 keys again.
 */
const COST = 8;

/** Blocks for as long as a verification takes: for the command line, not for the server. */
export function hashSecret(secret: string): string {
  return hashSync(secret, COST);
}
