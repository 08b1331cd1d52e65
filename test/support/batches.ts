/** The items of batches, one by one. Leaving the loop leaves the batches. */
export async function* itemsOf<Item>(batches: AsyncIterable<readonly Item[]>): AsyncGenerator<Item, void> {
  for await (const batch of batches) yield* batch;
}

/** Each item as a batch of its own. */
export async function* oneByOne<Item>(items: AsyncIterable<Item>): AsyncGenerator<readonly Item[], void> {
  for await (const item of items) yield [item];
}
