/**
 * Runs one batch at a time: what is asked while a batch runs waits and goes together in the next. Under load
 * this turns many small database calls into few; without load each goes at once. When a batch fails, all
 * that were in it fail.
 */
export function createBatcher<Item, Result>(options: {
  maxSize: number;
  /** Gives one result an item, in order. */
  run: (items: readonly Item[]) => Promise<readonly Result[]>;
}): (item: Item) => Promise<Result> {
  type Waiting = { item: Item; resolve: (result: Result) => void; reject: (error: unknown) => void };
  let waiting: Waiting[] = [];
  let running = false;

  async function drain(): Promise<void> {
    if (running) return;
    running = true;
    while (waiting.length > 0) {
      const batch = waiting.slice(0, options.maxSize);
      waiting = waiting.slice(options.maxSize);
      try {
        const results = await options.run(batch.map(({ item }) => item));
        for (const [index, { resolve, reject }] of batch.entries()) {
          const result = results[index];
          if (result === undefined) reject(new Error('The batch gave too few results.'));
          else resolve(result);
        }
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    running = false;
  }

  return (item) =>
    new Promise<Result>((resolve, reject) => {
      waiting.push({ item, resolve, reject });
      void drain();
    });
}
