import { readFileSync } from 'node:fs';

/** Bytes that this process has caused to be sent to disk; NaN where the system does not tell. */
export function writtenBytes(): number {
  try {
    return Number(/^write_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
  } catch {
    return NaN;
  }
}
