/**
 * What the promise gives, or, when that takes longer than `ms`, what `late` gives. The promise goes on.
 *
 * @param late may wait on, by giving another promise. What it throws rejects.
 */
export async function within<T>(promise: Promise<T>, ms: number, late: () => T | Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  }).then(late);
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}
