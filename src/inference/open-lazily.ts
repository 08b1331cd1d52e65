/**
 * An iterator over what `open` resolves with; it is called with the first `next()`. Leaving early ends what was
 * opened. A generator that delegates would do the same, at several turns of the microtask queue for each item.
 */
export function openLazily<Item>(open: () => Promise<AsyncIterator<Item>>): AsyncIterableIterator<Item> {
  let opening: Promise<AsyncIterator<Item>> | undefined;
  let opened: AsyncIterator<Item> | undefined;
  let isLeft = false;
  return {
    next() {
      if (isLeft) return Promise.resolve({ done: true, value: undefined });
      if (opened !== undefined) return opened.next();
      opening ??= open();
      return opening.then((iterator) => {
        opened = iterator;
        return iterator.next();
      });
    },
    async return() {
      isLeft = true;
      // A failure to open was told to whoever asked for the first item.
      const iterator = await opening?.catch(() => undefined);
      await iterator?.return?.();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
