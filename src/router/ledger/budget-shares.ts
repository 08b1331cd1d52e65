import { FairSemaphore, type Release } from '#app/fair/fair-semaphore.ts';
import type { TenantId } from '#app/ids.ts';
import { createCircuitBreaker } from '#router/limits/redis/circuit-breaker.ts';
import type { RedisConnection } from '#router/limits/redis/redis-connection.ts';

/** What one router knows of a tenant’s month, in nano-dollars. Absolute, so that telling it twice changes nothing. */
export type BudgetShare = Readonly<{
  /** Spent, as the database had it last. */
  known: number;
  /** Spent here and not yet in `known`, and held for turns under way here. */
  own: number;
}>;

/** Where routers tell each other what is spent and held. */
export interface BudgetShares {
  /**
   * Decides whether a turn may begin: what is spent and held everywhere must be below the limit. `take` holds the estimate
   * and says what this router has with it; it is called as the question is sent. null: nobody could be asked, and nothing
   * was taken, or it is not known what became of the question.
   */
  admit(
    tenantId: TenantId,
    month: string,
    turn: { limit: number; estimate: number; take: () => BudgetShare },
  ): Promise<{ admitted: boolean; before: number } | null>;
  /** Tells the others. Never throws: what is told later says all. */
  report(tenantId: TenantId, month: string, share: BudgetShare): Promise<void>;
}

/** A router that says nothing for so long is gone: what it held is free, and what it spent is counted when its log is read. */
export const SHARE_LEASE_MS = 30_000;
const SILENCE_MS = 45;
const TIMEOUT_MS = 1_000;
const COOLDOWN_MS = 1_000;
const MAX_ASKING = 32;
/** Decisions that may wait, and how long, milliseconds. */
const MAX_WAITING = 20_000;
const MAX_WAIT_MS = 5_000;
const never = new AbortController().signal;

/** Through Redis, in one script, on the node of the tenant’s limits. */
export function createRedisBudgetShares(options: {
  redis: Pick<RedisConnection, 'budget'>;
  instanceId: string;
  /** Milliseconds; monotonic. */
  monotonicNow: () => number;
  onOutage?: (isOut: boolean, cause: unknown) => void;
  silenceMs?: number;
  /** Default {@link SHARE_LEASE_MS}. */
  leaseMs?: number;
}): BudgetShares {
  const {
    redis,
    instanceId,
    monotonicNow,
    onOutage,
    silenceMs = SILENCE_MS,
    leaseMs = SHARE_LEASE_MS,
  } = options;
  const breaker = createCircuitBreaker({
    silenceMs,
    timeoutMs: Math.max(TIMEOUT_MS, silenceMs),
    cooldownMs: COOLDOWN_MS,
    monotonicNow,
    ...(onOutage === undefined ? {} : { onChange: onOutage }),
  });
  const places = new FairSemaphore({
    resource: 'decisions about budgets',
    capacity: MAX_ASKING,
    alpha: Number.POSITIVE_INFINITY,
    maxWaiting: MAX_WAITING,
    maxWaitMs: MAX_WAIT_MS,
  });
  const ask = (
    tenantId: TenantId,
    month: string,
    { known, own }: BudgetShare,
    [estimate, limit]: [number, number],
  ) =>
    breaker.run(() =>
      redis.budget(
        [`bulkhead:{${tenantId}}:budget:${month}`],
        [instanceId, ...[known, own, estimate, limit].map((amount) => amount.toFixed(0)), String(leaseMs)],
      ),
    );

  return {
    async admit(tenantId, month, { limit, estimate, take }) {
      if (breaker.isOpen) return null;
      let release: Release | undefined;
      try {
        release = await places.acquire(tenantId, never);
        // Told in the order in which it is taken: one connection keeps it.
        const [admitted = 0, before = 0] = await ask(tenantId, month, take(), [estimate, limit]);
        return { admitted: admitted === 1, before };
      } catch {
        return null;
      } finally {
        release?.();
      }
    },
    async report(tenantId, month, share) {
      await ask(tenantId, month, share, [0, -1]).catch(() => undefined);
    },
  };
}
