import { InvalidPositionError } from '../store-errors.ts';

/** Where a walk through an inbox is and where it ends, as positions of the index. */
export interface WalkPosition {
  /** Every entry up to here has been handled. */
  readonly after: string;
  /** The last position of the walk; null in positions of the previous version. */
  readonly end: string | null;
}

/**
 * `<after>!<end>`. The previous version takes this text for a place in the inbox, and for the right one: `!` sorts before all
 * characters of ids, so that nothing lies between this place and `after`.
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

// Any text of this form is a place in the inbox; DynamoDB would refuse a much longer text as a key. Characters up to `!` are
// excluded: `!` after a position stands for the next one, and DynamoDB refuses a range whose end lies before its start.
const PLACE = '\\d{16}(?:#["-~]{1,100})?';
const FORM = new RegExp(`^(${PLACE})(?:!(${PLACE}))?$`);
