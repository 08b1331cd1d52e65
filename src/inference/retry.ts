import { setTimeout as delay } from 'node:timers/promises';
import type { BulkheadError } from '#app/errors/bulkhead-error.ts';

/** A failed try, with the decision whether another may follow, made where the failure is understood. */
export class AttemptFailure extends Error {
  override readonly name = 'AttemptFailure';
  readonly failure: BulkheadError;
  readonly mayRetry: boolean;

  constructor(failure: BulkheadError, mayRetry: boolean) {
    super(failure.message, { cause: failure });
    this.failure = failure;
    this.mayRetry = mayRetry;
  }
}

export type RetryOptions = Readonly<{
  /** Tries in all, at least 1. */
  maxAttempts: number;
  /** Upper bound of the first wait; it doubles with every try. Milliseconds. */
  baseDelayMs?: number;
  maxDelayMs?: number;
  /** A server that asks for a longer wait than this is not waited for: its caller is told instead. */
  maxRetryAfterMs?: number;
  random?: () => number;
  sleep?: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  onRetry?: (failure: BulkheadError, attempt: number, delayMs: number) => void;
}>;

const sleepFor = (milliseconds: number, signal: AbortSignal): Promise<void> =>
  delay(milliseconds, undefined, { signal });

/**
 * Tries until one succeeds, may not be repeated, or was the last. Waits are exponential with full jitter
 * (https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/), and never shorter than a
 * `retry-after`. Throws the failure of the last try; an abort ends it at once, with the signal's reason.
 */
export async function retry<Result>(
  attempt: () => Promise<Result>,
  options: RetryOptions,
  signal: AbortSignal,
): Promise<Result> {
  const { maxAttempts, baseDelayMs = 250, maxDelayMs = 4_000, maxRetryAfterMs = 10_000 } = options;
  const { random = Math.random, sleep = sleepFor, onRetry } = options;
  for (let tries = 1; ; tries++) {
    signal.throwIfAborted();
    try {
      return await attempt();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!(error instanceof AttemptFailure)) throw error;
      const { failure, mayRetry } = error;
      const atLeast = failure.retryAfterMs ?? 0;
      if (!mayRetry || tries >= maxAttempts || atLeast > maxRetryAfterMs) throw failure;
      const wait = atLeast + random() * Math.min(maxDelayMs, baseDelayMs * 2 ** (tries - 1));
      onRetry?.(failure, tries, wait);
      try {
        await sleep(wait, signal);
      } catch (aborted) {
        throw signal.aborted ? signal.reason : aborted;
      }
    }
  }
}
