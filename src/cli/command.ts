import type { Environment } from '../environment.ts';

/** Where a command is run and where it prints. */
export interface Surroundings {
  readonly env: Environment;
  readonly stdout: (text: string) => void;
  readonly stderr: (text: string) => void;
}

/** Resolves with the exit status: 0 done, 1 failed, 2 not understood. */
export type Command = (args: readonly string[], surroundings: Surroundings) => Promise<number>;

/** The command line is not understood; the message says why. */
export class UsageError extends Error {}

/** A command that prints the text which `run` resolves with, or on stderr why it was rejected. */
export function command(
  name: string,
  run: (args: readonly string[], surroundings: Surroundings) => Promise<string>,
): Command {
  return async (args, surroundings) => {
    try {
      surroundings.stdout(await run(args, surroundings));
      return 0;
    } catch (error) {
      const usage = error instanceof UsageError;
      const message = error instanceof Error ? error.message : String(error);
      const hint = usage ? `\ntriggers-api ${name} --help tells what there is` : '';
      surroundings.stderr(`${name}: ${message}${hint}\n`);
      return usage ? 2 : 1;
    }
  };
}
