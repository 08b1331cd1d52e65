/** Thrown instead of calling something that just failed. */
export class CircuitOpenError extends Error {
  override readonly name = 'CircuitOpenError';
}

/** Thrown when a call took longer than it may. The call itself may still end; its answer is ignored. */
export class CallTimeoutError extends Error {
  override readonly name = 'CallTimeoutError';
}

export type CircuitBreakerOptions = {
  /** Longest that a call may take, milliseconds. */
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

/**
 * One failure opens the circuit, so that a frozen dependency costs callers one timeout and not one each; one
 * success closes it.
 */
export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  let openedAt: number | null = null;
  let probing = false;

  async function withTimeout<Result>(call: () => Promise<Result>): Promise<Result> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      const fail = () => reject(new CallTimeoutError(`No answer within ${options.timeoutMs} ms.`));
      // Where this process itself was busy, the answer may lie unread in the socket: it is read before this runs.
      timer = setTimeout(() => setImmediate(fail), options.timeoutMs);
    });
    const answer = call();
    // Whatever it answers after the timeout concerns nobody.
    answer.catch(() => undefined);
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  return {
    get isOpen() {
      return openedAt !== null;
    },
    async run(call) {
      const isProbe = openedAt !== null;
      if (openedAt !== null) {
        if (probing || options.monotonicNow() - openedAt < options.cooldownMs) {
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
        openedAt = options.monotonicNow();
        throw error;
      } finally {
        if (isProbe) probing = false;
      }
    },
  };
}
