import type { Logger } from '#observability/logger.ts';

/** Between two lines about an outage that goes on, milliseconds: an alarm on the last minutes sees it all along. */
const REPEAT_MS = 15_000;

export type OutageReport = Readonly<{
  /** Told whenever Redis is lost or found again. */
  onChange(isOut: boolean, cause?: unknown): void;
  readonly isOut: boolean;
  close(): void;
}>;

/**
 * Tells of an outage of Redis in the log: at its begin, every {@link REPEAT_MS} while it lasts, and at its end. The lines
 * carry the metric `RedisOutageSeconds`: how much longer it has lasted since the line before, so that a sum over any time
 * is the time without Redis.
 */
export function createOutageReport(options: {
  /** What is decided without Redis meanwhile, as a line begins: "limits". */
  what: string;
  logger: Logger;
  /** Milliseconds; monotonic. */
  monotonicNow: () => number;
  repeatMs?: number;
}): OutageReport {
  const { what, logger, monotonicNow, repeatMs = REPEAT_MS } = options;
  let toldUntil: number | null = null;
  let timer: NodeJS.Timeout | undefined;

  function tell(isOut: boolean, seconds: number, cause?: unknown): void {
    logger.warn(
      {
        event: 'redis_outage',
        metric: 'RedisOutageSeconds',
        value: Math.round(seconds * 1_000) / 1_000,
        is_out: isOut,
        decided_here: what,
        ...(cause === undefined ? {} : { err: cause }),
      },
      isOut ? `${what} are decided in this process: Redis does not answer` : `${what} are shared again`,
    );
  }

  function secondsSinceTold(): number {
    const now = monotonicNow();
    const seconds = toldUntil === null ? 0 : (now - toldUntil) / 1_000;
    toldUntil = now;
    return seconds;
  }

  return {
    get isOut() {
      return toldUntil !== null;
    },
    onChange(isOut, cause) {
      tell(isOut, secondsSinceTold(), cause);
      clearInterval(timer);
      if (!isOut) toldUntil = null;
      else timer = setInterval(() => tell(true, secondsSinceTold()), repeatMs).unref();
    },
    close() {
      clearInterval(timer);
    },
  };
}
