import { setTimeout as pause } from 'node:timers/promises';

export type FloodOptions = Readonly<{
  /** Makes one call and resolves with its status when it is answered. It is given up when the flood ends. */
  call(nth: number, signal: AbortSignal): Promise<number>;
  /** Calls that are kept open. */
  atOnce: number;
  /** Calls in all, at most. */
  maxCalls: number;
}>;

export type Flood = {
  /** Gives up the calls under way and makes no more. */
  stop(): Promise<{ answered: number; refused: number; failed: number }>;
};

/** A client that is refused comes again after this, milliseconds. */
const AFTER_REFUSAL_MS = 100;
/** Ends a flood that nobody stops. */
const LONGEST_MS = 120_000;

/** Keeps calls open; resolves `rampMs` after the first. */
export async function startFlood(options: FloodOptions & { rampMs: number }): Promise<Flood> {
  const { call, atOnce, maxCalls, rampMs } = options;
  const counts = { answered: 0, refused: 0, failed: 0 };
  const end = performance.now() + LONGEST_MS;
  const stopped = new AbortController();
  let made = 0;
  const client = async () => {
    while (!stopped.signal.aborted && made < maxCalls && performance.now() < end) {
      const status = await call(made++, stopped.signal).catch(() => 0);
      if (stopped.signal.aborted) return;
      if (status >= 200 && status < 300) {
        counts.answered += 1;
        continue;
      }
      if (status === 0) counts.failed += 1;
      else counts.refused += 1;
      await pause(AFTER_REFUSAL_MS);
    }
  };
  const clients = Promise.all(Array.from({ length: atOnce }, client));
  await pause(rampMs);
  return {
    async stop() {
      stopped.abort();
      await clients;
      return counts;
    },
  };
}
