import type { TenantId, UserId } from '#app/ids.ts';
import { ownerContext } from '#router/identity/administration-context.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { LimitScope } from '#router/limits/rate-limiter.ts';

/** A request as the limiter met it, in milliseconds of the wall clock. */
export type TimedRequest = Readonly<{
  tenantId: TenantId;
  userId: UserId;
  startedAt: number;
  tookMs: number;
  tokensReserved: number;
  tokensUsed: number;
}>;

export interface LimitReplay {
  /** The rule that denies it, or null. Requests come in the order of their beginnings; those that pass are counted. */
  admit(request: TimedRequest): Promise<string | null>;
}

/** The router's own sliding-window limiter, at the recorded times: nothing of the live counters is touched. */
export function createLimitReplay(limits: LimitScope['limits']): LimitReplay {
  let clock = 0;
  const limiter = createMemoryRateLimiter({ monotonicNow: () => clock });
  const scopes = [{ scope: 'tenant', limits }] as const;
  /** Requests under way, those that end last first. */
  const running: { endsAt: number; end: () => void }[] = [];

  function finishUntil(time: number): void {
    for (let next = running.at(-1); next !== undefined && next.endsAt <= time; next = running.at(-1)) {
      clock = Math.max(clock, next.endsAt);
      next.end();
      running.pop();
    }
    clock = Math.max(clock, time);
  }

  return {
    async admit({ tenantId, userId, startedAt, tookMs, tokensReserved, tokensUsed }) {
      finishUntil(startedAt);
      const tokenLimit = limits.tokens_per_minute;
      const estimate = tokensReserved > 0 ? tokensReserved : tokensUsed;
      const tokens = tokenLimit === null ? 0 : Math.min(estimate, tokenLimit);
      const decision = await limiter.admit(ownerContext(tenantId, userId), scopes, tokens);
      if (!decision.admitted) return `rate_limits.${decision.name}`;
      const endsAt = startedAt + tookMs;
      const end = () => {
        decision.settle(tokensUsed > 0 ? tokensUsed : tokens);
        decision.release();
      };
      const place = running.findIndex((other) => other.endsAt < endsAt);
      running.splice(place === -1 ? running.length : place, 0, { endsAt, end });
      return null;
    },
  };
}
