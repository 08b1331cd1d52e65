import { setTimeout as delay } from 'node:timers/promises';

/** Longest time without the service after which calls fail at once, milliseconds: longer than one process takes to restart. */
const MAX_MS = 15_000;
const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 500;
/** Calls that wait at once; more fail at once. */
const MAX_WAITING = 1_024;

/**
 * Repeats calls whose connection was refused: nothing of them was sent, so even those that must not run twice can be repeated.
 * A service of which there is only one is away for seconds whenever it restarts. Once it was away for `maxMs`, calls are
 * tried once each, until one gets through. An abort ends the wait.
 */
export function createRestartWait({ maxMs = MAX_MS }: { maxMs?: number } = {}) {
  let refusedSince: number | null = null;
  let waiting = 0;
  return async <Result>(call: () => Promise<Result>, signal: AbortSignal): Promise<Result> => {
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, MAX_PAUSE_MS)) {
      try {
        const result = await call();
        refusedSince = null;
        return result;
      } catch (error) {
        if (!isRefused(error)) throw error;
        const now = performance.now();
        refusedSince ??= now;
        if (now - refusedSince + pauseMs > maxMs || waiting >= MAX_WAITING) throw error;
      }
      waiting += 1;
      try {
        await delay(pauseMs, undefined, { signal });
      } finally {
        waiting -= 1;
      }
    }
  };
}

const isRefused = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ECONNREFUSED';
