/** A command was not called as it should be: `npm run bench` says so, with the list of commands, and ends with 2. */
export class UsageError extends Error {}

/** Whether an error is `UsageError` or one that `parseArgs` throws for arguments that it does not know. */
export function isUsageError(error: unknown): error is Error {
  if (error instanceof UsageError) return true;
  return (
    error instanceof Error && String((error as NodeJS.ErrnoException).code).startsWith('ERR_PARSE_ARGS_')
  );
}

/** @throws UsageError when the text of an option is not a number above 0. */
export function positive(option: string, text: string): number {
  const number = Number(text);
  if (!(number > 0)) throw new UsageError(`--${option} takes a number above 0, not ${text}`);
  return number;
}

/** @throws UsageError when the text of an option is none of its values. */
export function oneOf<T extends string>(option: string, values: readonly T[], text: string): T {
  const found = values.find((value) => value === text);
  if (found === undefined) throw new UsageError(`--${option} takes ${values.join(' or ')}, not ${text}`);
  return found;
}
