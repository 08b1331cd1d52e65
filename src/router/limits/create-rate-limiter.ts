import { sortableId } from '#app/ids.ts';
import type { Settings } from '#app/settings/settings.ts';
import type { Logger } from '#observability/logger.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { RateLimiter } from '#router/limits/rate-limiter.ts';
import { connectRedis } from '#router/limits/redis/redis-connection.ts';
import { createRedisRateLimiter } from '#router/limits/redis/redis-rate-limiter.ts';

/** The limiter that the settings ask for: exact within this process, or over all routers through Redis. */
export async function createRateLimiter(options: {
  settings: Pick<Settings, 'REDIS_URL' | 'REDIS_CLUSTER'>;
  monotonicNow: () => number;
  logger: Logger;
}): Promise<{ limiter: RateLimiter; close: () => Promise<void> }> {
  const { settings, monotonicNow, logger } = options;
  const local = createMemoryRateLimiter({ monotonicNow });
  if (settings.REDIS_URL === undefined) return { limiter: local, close: async () => {} };
  const redis = connectRedis({
    url: settings.REDIS_URL,
    cluster: settings.REDIS_CLUSTER,
    onError: (error) => logger.warn({ event: 'redis_error', err: error }, 'Redis failed'),
  });
  const limiter = createRedisRateLimiter({
    redis,
    local,
    instanceId: sortableId(),
    monotonicNow,
    onOutage: (isOut, cause) =>
      logger.warn(
        { event: 'redis_outage', is_out: isOut, err: cause },
        isOut ? 'limits are decided in this process: Redis does not answer' : 'limits are shared again',
      ),
  });
  await limiter.start();
  return { limiter, close: () => limiter.close() };
}
