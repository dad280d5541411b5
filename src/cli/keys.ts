import { existsSync } from 'node:fs';
import { keysCommand } from './keys-command.ts';

if (existsSync('.env')) process.loadEnvFile('.env');
process.exitCode = await keysCommand(process.argv.slice(2), {
  env: process.env,
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
});
