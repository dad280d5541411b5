// Loaded before a process: `Date.now()` is what the file FAKE_TIME says.
import { readFileSync } from 'node:fs';

const file = process.env['FAKE_TIME'] ?? '';
Date.now = () => Number(readFileSync(file, 'utf8'));
