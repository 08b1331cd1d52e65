/** Thrown instead of calling something that just failed. */
export class CircuitOpenError extends Error {
  override readonly name = 'CircuitOpenError';
}

/** Thrown when a call took longer than it may. The call itself may still end; its answer is ignored. */
export class CallTimeoutError extends Error {
  override readonly name = 'CallTimeoutError';
}

export type CircuitBreakerOptions = {
  /**
   * Longest silence while calls wait, milliseconds. Answers to other calls break it: a burst that queues up at
   * a busy dependency is not an outage. Time in which this process did not run does not count, and time in which
   * it was busy all along counts a fifth: then the silence may be its own.
   */
  silenceMs: number;
  /** Longest that a call may take all the same, milliseconds, counted in the same way. */
  timeoutMs: number;
  /** How long nobody calls after a failure, milliseconds. Then one call goes ahead of the others as a probe. */
  cooldownMs: number;
  /** Milliseconds; monotonic. */
  monotonicNow: () => number;
  onChange?: (open: boolean, cause: unknown) => void;
};

export type CircuitBreaker = {
  readonly isOpen: boolean;
  run<Result>(call: () => Promise<Result>): Promise<Result>;
};

type Waiting = { startedAt: number; startedAtTick: number; fail: (error: Error) => void };

const TICKS_OF_SILENCE = 5;
/** Share of a tick from which the process counts as busy all along. */
const BUSY = 0.9;
const BUSY_TICK = 0.2;

/**
 * One failure opens the circuit, so that a frozen dependency costs callers one timeout and not one each; one
 * success closes it.
 */
export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { monotonicNow } = options;
  const tickMs = options.silenceMs / TICKS_OF_SILENCE;
  const waiting = new Set<Waiting>();
  let openedAt: number | null = null;
  let probing = false;
  let ticks = 0;
  let silentTicks = 0;
  let lastUtilization = performance.eventLoopUtilization();
  let ticker: NodeJS.Timeout | undefined;

  // One timer for all calls. A tick counts once however late it comes, so a process that was starved or busy
  // does not blame the dependency; and answers that lie unread in the socket are read before the check runs.
  function startTicking(): void {
    if (ticker !== undefined) return;
    silentTicks = 0;
    lastUtilization = performance.eventLoopUtilization();
    ticker = setInterval(() => setImmediate(check), tickMs);
    ticker.unref();
  }

  function stopTickingIfIdle(): void {
    if (waiting.size > 0) return;
    clearInterval(ticker);
    ticker = undefined;
  }

  function check(): void {
    const current = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(current, lastUtilization);
    lastUtilization = current;
    const weight = utilization < BUSY ? 1 : BUSY_TICK;
    silentTicks += weight;
    ticks += weight;
    const isSilent = silentTicks >= TICKS_OF_SILENCE;
    const now = monotonicNow();
    for (const call of waiting) {
      const waited = now - call.startedAt;
      // A call that has just begun has not met the silence yet.
      const isLate = (ticks - call.startedAtTick) * tickMs >= options.timeoutMs;
      // A timer may fire a moment early; that is no reason to wait for another tick.
      if ((isSilent && waited >= options.silenceMs - tickMs / 2) || isLate) {
        waiting.delete(call);
        call.fail(new CallTimeoutError(`No answer within ${Math.round(waited)} ms.`));
      }
    }
    stopTickingIfIdle();
  }

  function withTimeout<Result>(call: () => Promise<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      const entry: Waiting = { startedAt: monotonicNow(), startedAtTick: ticks, fail: reject };
      waiting.add(entry);
      startTicking();
      const end = () => {
        waiting.delete(entry);
        stopTickingIfIdle();
      };
      // Whatever comes after the timeout concerns nobody: the promise is settled then.
      call().then(
        (result) => {
          silentTicks = 0;
          end();
          resolve(result);
        },
        (error: unknown) => {
          end();
          reject(error);
        },
      );
    });
  }

  return {
    get isOpen() {
      return openedAt !== null;
    },
    async run(call) {
      const isProbe = openedAt !== null;
      if (openedAt !== null) {
        if (probing || monotonicNow() - openedAt < options.cooldownMs) {
          throw new CircuitOpenError('The circuit is open.');
        }
        probing = true;
      }
      try {
        const result = await withTimeout(call);
        if (openedAt !== null) options.onChange?.(false, null);
        openedAt = null;
        return result;
      } catch (error) {
        if (openedAt === null) options.onChange?.(true, error);
        openedAt = monotonicNow();
        throw error;
      } finally {
        if (isProbe) probing = false;
      }
    },
  };
}
