import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Place } from './cores.ts';
import { nodeCommand } from './cores.ts';

/** A server in a process of its own. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** SIGTERM, and SIGKILL where that is not enough within 15 s. */
  stop(): Promise<void>;
}

const START_MS = 30_000;
const STOP_MS = 15_000;

export const LOADER = '--import=./.ci/typescript.mjs';

/**
 * Starts a script and waits for the JSON line `{"msg":"listening","url":...}` that every server here prints. What it
 * prints afterwards is read and dropped, as a log collector would.
 */
export async function startServer(
  args: readonly string[],
  { place, env = {} }: { readonly place: Place; readonly env?: Readonly<Record<string, string>> },
): Promise<ServerProcess> {
  const [program, ...rest] = nodeCommand(place, args);
  const child = spawn(program, rest, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(child, 'exit');
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => (errors = (errors + chunk.toString()).slice(-4_000)));
  const url = await new Promise<string>((resolve, reject) => {
    const lines = createInterface(child.stdout);
    let output = '';
    const patience = setTimeout(() => {
      child.kill();
      fail(`did not listen within ${String(START_MS / 1000)} s`);
    }, START_MS);
    const fail = (what: string): void => {
      clearTimeout(patience);
      reject(new Error(`${args.join(' ')} ${what}:\n${output}${errors}`));
    };
    lines.on('line', (line) => {
      output = `${output}${line}\n`.slice(-4_000);
      const listening = parseListening(line);
      if (listening === undefined) return;
      clearTimeout(patience);
      lines.close();
      child.stdout.removeAllListeners('data').resume();
      resolve(listening);
    });
    void ended.then(() => {
      fail('ended before it listened');
    });
  });
  let stopping = false;
  void ended.then(() => {
    const how = String(child.signalCode ?? child.exitCode);
    if (!stopping) console.error(`${args.join(' ')} ended by itself (${how}):\n${errors}`);
  });
  return {
    url,
    pid: child.pid ?? 0,
    async stop() {
      stopping = true;
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGTERM');
      const force = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(force);
    },
  };
}

function parseListening(line: string): string | undefined {
  try {
    const { msg, url } = JSON.parse(line) as { msg?: string; url?: string };
    return msg === 'listening' ? url : undefined;
  } catch {
    return undefined;
  }
}

/** Runs a script to its end and gives what it printed, as JSON. */
export async function runToJson<T>(args: readonly string[], place: Place): Promise<T> {
  const [program, ...rest] = nodeCommand(place, args);
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${args[1] ?? ''} failed:\n${output}`);
  return JSON.parse(output) as T;
}
