import type { CircuitBreaker } from '#router/limits/redis/circuit-breaker.ts';
import type { RedisConnection } from '#router/limits/redis/redis-connection.ts';

export type Settlement = Readonly<{
  keys: readonly string[];
  requestId: string;
  /** Tokens that were really used; null: the reservation stays as it is. */
  used: number | null;
  /** Whether the place among concurrent requests is given back. */
  released: boolean;
}>;

/** Then the tokens have left their window, and the lease has ended, by themselves. */
const KEPT_MS = 60_000;
/** More than a router settles in any outage that its tenants would feel; the oldest are given up first. */
const MAX_KEPT = 20_000;
const SENT_AT_ONCE = 32;

/**
 * Tells Redis what became of requests that it admitted, off the request's path. What it cannot be told now it is told
 * when it is back: a reservation that nobody settles would count against its tenant for a whole minute.
 */
export function createSettlements(options: {
  redis: Pick<RedisConnection, 'settle'>;
  breaker: Pick<CircuitBreaker, 'run'>;
  /** Milliseconds; monotonic. */
  monotonicNow: () => number;
}) {
  const { redis, breaker, monotonicNow } = options;
  /** By request id, oldest first. */
  const kept = new Map<string, { settlement: Settlement; since: number }>();
  let catchingUp: Promise<void> | null = null;

  function keep(settlement: Settlement, since: number): void {
    kept.set(settlement.requestId, { settlement, since });
    for (const id of kept.keys()) {
      if (kept.size <= MAX_KEPT) break;
      kept.delete(id);
    }
  }

  async function send(settlement: Settlement, since = monotonicNow()): Promise<boolean> {
    const { keys, requestId, used, released } = settlement;
    try {
      await breaker.run(() => redis.settle(keys, [requestId, String(used ?? -1), released ? '1' : '0']));
      return true;
    } catch {
      // A later one of the same request may wait already, and says more.
      if (!kept.has(requestId)) keep(settlement, since);
      return false;
    }
  }

  async function catchUp(): Promise<void> {
    while (kept.size > 0) {
      const batch = [...kept.values()].slice(0, SENT_AT_ONCE);
      for (const { settlement } of batch) kept.delete(settlement.requestId);
      const young = batch.filter(({ since }) => monotonicNow() - since < KEPT_MS);
      const sent = await Promise.all(young.map(({ settlement, since }) => send(settlement, since)));
      if (sent.includes(false)) return;
    }
  }

  /** Never throws. Each one of a request says all that the one before said, and replaces it. */
  async function settle(settlement: Settlement): Promise<void> {
    kept.delete(settlement.requestId);
    await send(settlement);
  }

  return {
    /** How many wait for Redis. */
    get size() {
      return kept.size;
    },
    settle,
    /** What becomes of one request, as it becomes known. It settles and releases in one go: one call carries both. */
    of(requestId: string, keys: readonly string[]) {
      let used: number | null = null;
      let released = false;
      let isScheduled = false;
      const schedule = () => {
        if (isScheduled) return;
        isScheduled = true;
        queueMicrotask(() => {
          isScheduled = false;
          void settle({ keys, requestId, used, released });
        });
      };
      return {
        used(tokens: number) {
          used = Math.max(0, Math.round(tokens));
          schedule();
        },
        released() {
          if (released) return;
          released = true;
          schedule();
        },
      };
    },
    /** To be called when Redis answers: sends what waits. Never throws. */
    catchUp(): Promise<void> {
      catchingUp ??= catchUp().finally(() => {
        catchingUp = null;
      });
      return catchingUp;
    },
  };
}
