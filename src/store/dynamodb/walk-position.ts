import { InvalidPositionError } from '../store-errors.ts';

/** Where a walk through an inbox stands and where it ends: positions of the index. */
export interface WalkPosition {
  /** Everything up to here has been dealt with. */
  readonly after: string;
  /** The last position of the walk; null: the version before did not say. */
  readonly end: string | null;
}

/**
 * `<after>!<end>`. The version before takes that for a place in the inbox, and for the right one: `!` sorts before all that
 * ids are made of, so that nothing lies between it and `after`.
 */
export function formatWalkPosition(after: string, end: string): string {
  return `${after}!${end}`;
}

/** @throws an `InvalidPositionError` for text of another form. */
export function parseWalkPosition(text: string): WalkPosition {
  const [, after, end = null] = FORM.exec(text) ?? [];
  if (after === undefined) throw new InvalidPositionError('a position of another store');
  return { after, end };
}

// Anything of this form is a place in the inbox; DynamoDB would not take much longer text as a key. Without characters up to
// `!`: behind a position that stands for what comes next, and DynamoDB refuses a range whose end lies before its start.
const PLACE = '\\d{16}(?:#["-~]{1,100})?';
const FORM = new RegExp(`^(${PLACE})(?:!(${PLACE}))?$`);
