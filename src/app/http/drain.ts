import { BulkheadError } from '#app/errors/bulkhead-error.ts';

/**
 * How a process stops: it is not ready from `begin()` on, while requests are still served; `end()` comes when the drain time
 * is over, and gives each request that is still under way its own end.
 */
export interface Drain {
  isDraining(): boolean;
  /** Safe to call twice. */
  begin(): void;
  /** Ends what is under way, and from now on what comes. Safe to call twice. */
  end(): void;
  /**
   * `onEnd` is called once when the drain time is over, with what the client is to be told: at once where it is over already.
   * Returns a function that forgets it, to be called when the request ends.
   */
  onEnd(onEnd: (reason: BulkheadError) => void): () => void;
}

const RETRY_AFTER_MS = 1_000;

const shuttingDown = () =>
  new BulkheadError('shutting_down', 'The service is shutting down.', { retryAfterMs: RETRY_AFTER_MS });

export function createDrain(): Drain {
  let state: 'serving' | 'draining' | 'ended' = 'serving';
  const underWay = new Set<(reason: BulkheadError) => void>();
  return {
    isDraining: () => state !== 'serving',
    begin() {
      if (state === 'serving') state = 'draining';
    },
    end() {
      state = 'ended';
      const all = [...underWay];
      underWay.clear();
      for (const onEnd of all) onEnd(shuttingDown());
    },
    onEnd(onEnd) {
      if (state === 'ended') {
        onEnd(shuttingDown());
        return () => {};
      }
      underWay.add(onEnd);
      return () => underWay.delete(onEnd);
    },
  };
}
