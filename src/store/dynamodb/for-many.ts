/** How many items of one call may be under way. The first one needs no leave, so that a call which was let in goes on. */
export interface Places<Item> {
  /** Returns false, and takes nothing, when the item must wait until another one of this call is over. */
  readonly take: (item: Item) => boolean;
  /** Gives back what `take` took. */
  readonly give: () => void;
}

/**
 * Runs `each` for all items, in order, as many at a time as there are places.
 *
 * @param each must not reject.
 * @returns the results, in the order of the items.
 */
export function forMany<Item, Result>(
  items: readonly Item[],
  each: (item: Item) => Promise<Result>,
  { take, give }: Places<Item>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  let next = 0;
  let underWay = 0;

  return new Promise((resolve) => {
    const startMore = () => {
      for (let item = items[next]; item !== undefined; item = items[next]) {
        if (underWay > 0 && !take(item)) return;
        underWay += 1;
        void run(next++, item);
      }
      if (underWay === 0) resolve(results);
    };
    const run = async (index: number, item: Item) => {
      results[index] = await each(item);
      underWay -= 1;
      // The place of the first item is the call's own.
      if (underWay > 0) give();
      startMore();
    };
    startMore();
  });
}
