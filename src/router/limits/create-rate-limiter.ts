import { sortableId } from '#app/ids.ts';
import type { Settings } from '#app/settings/settings.ts';
import type { Logger } from '#observability/logger.ts';
import { type BudgetShares, createRedisBudgetShares } from '#router/ledger/budget-shares.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { RateLimiter } from '#router/limits/rate-limiter.ts';
import { connectRedis } from '#router/limits/redis/redis-connection.ts';
import { createRedisRateLimiter } from '#router/limits/redis/redis-rate-limiter.ts';

/** Silence that is waited for, of what a decision may wait: timers and all then stay within it. */
const SILENCE_SHARE = 0.9;

/** The limiter that the settings ask for: exact within this process, or over all routers through Redis. */
export async function createRateLimiter(options: {
  settings: Pick<Settings, 'REDIS_URL' | 'REDIS_CLUSTER' | 'REDIS_TIMEOUT_MS'>;
  monotonicNow: () => number;
  logger: Logger;
}): Promise<{
  limiter: RateLimiter;
  /** null: this process is the only one. */
  budgets: BudgetShares | null;
  close: () => Promise<void>;
}> {
  const { settings, monotonicNow, logger } = options;
  const local = createMemoryRateLimiter({ monotonicNow });
  if (settings.REDIS_URL === undefined) return { limiter: local, budgets: null, close: async () => {} };
  const redis = connectRedis({
    url: settings.REDIS_URL,
    cluster: settings.REDIS_CLUSTER,
    onError: (error) => logger.warn({ event: 'redis_error', err: error }, 'Redis failed'),
  });
  const onOutage = (what: string) => (isOut: boolean, cause?: unknown) =>
    logger.warn(
      { event: 'redis_outage', is_out: isOut, err: cause },
      isOut ? `${what} are decided in this process: Redis does not answer` : `${what} are shared again`,
    );
  const instanceId = sortableId();
  const silenceMs = settings.REDIS_TIMEOUT_MS * SILENCE_SHARE;
  const limiter = createRedisRateLimiter({
    redis,
    local,
    instanceId,
    monotonicNow,
    silenceMs,
    onOutage: onOutage('limits'),
  });
  await limiter.start();
  const budgets = createRedisBudgetShares({
    redis,
    instanceId,
    monotonicNow,
    silenceMs,
    onOutage: onOutage('budgets'),
  });
  return { limiter, budgets, close: () => limiter.close() };
}
