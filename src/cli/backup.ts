import { existsSync } from 'node:fs';
import { backupCommand } from './backup-command.ts';

if (existsSync('.env')) process.loadEnvFile('.env');
process.exitCode = await backupCommand(process.argv.slice(2), {
  env: process.env,
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
});
