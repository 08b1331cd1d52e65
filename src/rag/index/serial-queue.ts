export type SerialQueue = {
  /** Runs the work after everything queued before it, whether that succeeded or not. */
  run<Result>(work: () => Promise<Result>): Promise<Result>;
  /** Resolves when nothing is queued. */
  idle(): Promise<void>;
};

/** One thing at a time, in order: the single writer of a tenant's table. */
export function createSerialQueue(): SerialQueue {
  let tail: Promise<unknown> = Promise.resolve();
  return {
    run(work) {
      const result = tail.then(work);
      tail = result.catch(() => {});
      return result;
    },
    async idle() {
      for (let seen: Promise<unknown> | undefined; seen !== tail; ) {
        seen = tail;
        await seen;
      }
    },
  };
}
