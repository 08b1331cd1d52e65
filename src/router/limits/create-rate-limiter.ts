import { sortableId, type TenantId } from '#app/ids.ts';
import type { LiveSettings } from '#app/settings/live-settings.ts';
import type { Settings } from '#app/settings/settings.ts';
import type { Logger } from '#observability/logger.ts';
import { type BudgetShares, createRedisBudgetShares } from '#router/ledger/budget-shares.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { RateLimiter } from '#router/limits/rate-limiter.ts';
import { createOutageReport } from '#router/limits/redis/outage-report.ts';
import { connectRedis } from '#router/limits/redis/redis-connection.ts';
import { createRedisRateLimiter } from '#router/limits/redis/redis-rate-limiter.ts';
import { within } from '#router/within.ts';

/** Longest that the erasure of a tenant waits for Redis, milliseconds. */
const FORGET_MS = 10_000;
/** Silence that is waited for, of what a decision may wait: timers and all then stay within it. */
const SILENCE_SHARE = 0.9;

/** https://redis.io/docs/latest/commands/auth/ */
const isLoginRefused = (error: unknown): boolean =>
  error instanceof Error && /^(?:WRONGPASS|NOAUTH|NOPERM)\b/.test(error.message);

/** The limiter that the settings ask for: exact within this process, or over all routers through Redis. */
export async function createRateLimiter(options: {
  settings: Pick<Settings, 'REDIS_URL' | 'REDIS_CLUSTER' | 'REDIS_TIMEOUT_MS'>;
  /** The login of Redis may change while the process runs. */
  live?: Pick<LiveSettings, 'current' | 'refresh'>;
  monotonicNow: () => number;
  logger: Logger;
}): Promise<{
  limiter: RateLimiter;
  /** null: this process is the only one. */
  budgets: BudgetShares | null;
  /** Whether Redis is wanted and does not answer: limits or budgets are this process' own for now. */
  isDegraded: () => boolean;
  /** Deletes what is kept of a tenant outside of this process. Never throws: what is left ends by itself within an hour. */
  forget: (tenantId: TenantId) => Promise<void>;
  close: () => Promise<void>;
}> {
  const { settings, live, monotonicNow, logger } = options;
  const { REDIS_URL: url } = settings;
  const local = createMemoryRateLimiter({ monotonicNow });
  if (url === undefined) {
    return {
      limiter: local,
      budgets: null,
      isDegraded: () => false,
      forget: async () => {},
      close: async () => {},
    };
  }
  const redis = connectRedis({
    url,
    currentUrl: () => live?.current().REDIS_URL ?? url,
    cluster: settings.REDIS_CLUSTER,
    onError(error) {
      logger.warn({ event: 'redis_error', err: error }, 'Redis failed');
      // The client connects again by itself, and asks for the login then.
      if (isLoginRefused(error)) void live?.refresh();
    },
  });
  const outages = {
    limits: createOutageReport({ what: 'limits', logger, monotonicNow }),
    budgets: createOutageReport({ what: 'budgets', logger, monotonicNow }),
  };
  const instanceId = sortableId();
  const silenceMs = settings.REDIS_TIMEOUT_MS * SILENCE_SHARE;
  const limiter = createRedisRateLimiter({
    redis,
    local,
    instanceId,
    monotonicNow,
    silenceMs,
    onOutage: outages.limits.onChange,
  });
  await limiter.start();
  const budgets = createRedisBudgetShares({
    redis,
    instanceId,
    monotonicNow,
    silenceMs,
    onOutage: outages.budgets.onChange,
  });
  return {
    limiter,
    budgets,
    isDegraded: () => outages.limits.isOut || outages.budgets.isOut,
    async forget(tenantId) {
      limiter.forget(tenantId);
      try {
        await within(redis.forgetTenant(tenantId), FORGET_MS, 'Redis did not answer.');
      } catch (error) {
        logger.warn({ event: 'limits_kept', tenant_id: tenantId, err: error }, 'limits end by themselves');
      }
    },
    async close() {
      outages.limits.close();
      outages.budgets.close();
      await limiter.close();
    },
  };
}
