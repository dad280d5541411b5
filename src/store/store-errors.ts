/** The store cannot be reached or has failed. The caller may try again; what it asked for may or may not have happened. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

/** The store can be reached but has too much to do. What was asked for has not happened. */
export class StoreOverloadedError extends Error {
  override readonly name = 'StoreOverloadedError';
}

/** The store cannot be opened, for a reason that the operator can remove. The message says which. */
export class UnusableStoreError extends Error {
  override readonly name = 'UnusableStoreError';
}

/** The stored record of one event is damaged. Other events are not affected. */
export class CorruptEventError extends Error {
  override readonly name = 'CorruptEventError';
}

/** The stored record of one API key is damaged. Other keys are not affected. */
export class CorruptKeyError extends Error {
  override readonly name = 'CorruptKeyError';
}

/** The text is not a position that this kind of store gives out. */
export class InvalidPositionError extends Error {
  override readonly name = 'InvalidPositionError';
}

/** Whether the store only has no answer at the moment: the same may succeed later. */
export function isPassing(error: unknown): boolean {
  return error instanceof StoreOverloadedError || error instanceof StoreUnavailableError;
}
