import { readFileSync } from 'node:fs';

/** Bytes that a process has caused to be sent to disk; null where the system does not tell. */
export function writtenBytes(pid: number): number | null {
  try {
    const found = /^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${String(pid)}/io`, 'utf8'));
    return found === null ? null : Number(found[1]);
  } catch {
    return null;
  }
}
