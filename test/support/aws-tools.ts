import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';

const tools = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'triggers-api');

/** A file that `.ci/install-tools` has brought, by its path in the folder of tools. Throws when it is missing. */
export function tool(path: string): string {
  const file = join(tools, path);
  if (!existsSync(file)) throw new Error(`there is no ${file}: run .ci/install-tools`);
  return file;
}

/** An empty AWS of moto's on a free port, ended with the test. Gives its URL. */
export async function startMoto(t: Test): Promise<string> {
  const server = spawn(tool('aws/bin/moto_server'), ['--port', '0'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(server, 'exit');
  t.teardown(async () => {
    server.kill('SIGKILL');
    await ended;
  });
  let output = '';
  return new Promise((resolve, reject) => {
    const look = (data: Buffer): void => {
      output += data.toString();
      const url = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(output)?.[1];
      if (url !== undefined) resolve(url);
    };
    server.stdout.on('data', look);
    server.stderr.on('data', look);
    void ended.then(() => {
      reject(new Error(`moto ended before it listened:\n${output}`));
    });
  });
}
