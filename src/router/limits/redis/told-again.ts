import type { TenantId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { LimitScope } from '#router/limits/rate-limiter.ts';
import type { CircuitBreaker } from '#router/limits/redis/circuit-breaker.ts';
import type { RedisConnection } from '#router/limits/redis/redis-connection.ts';

/** A generation that was not seen for so long may have ended by itself, milliseconds. */
const EXPECTED_FOR_MS = 1_800_000;
/** What more callers admitted is told when they ask again. */
const MAX_CALLERS = 20_000;
const TOLD_AT_ONCE = 32;

type Caller = {
  generation: number;
  seenAt: number;
  context: TenantContext;
  scopes: readonly LimitScope[];
  keys: readonly string[];
};

/**
 * What this router has to tell a Redis that lost its data (a restart without persistence, FLUSHALL, a failover to a replica
 * that lagged): the places that its requests hold, and the requests that it admitted within the windows.
 */
export function createToldAgain(options: {
  redis: Pick<RedisConnection, 'renew' | 'retell'>;
  breaker: Pick<CircuitBreaker, 'run'>;
  local: Pick<ReturnType<typeof createMemoryRateLimiter>, 'admittedIn'>;
  instanceId: string;
  leaseMs: number;
  /** Milliseconds; monotonic. */
  monotonicNow: () => number;
}) {
  const { redis, breaker, local, instanceId, leaseMs, monotonicNow } = options;
  /** By the keys of a caller's scopes. */
  const callers = new Map<string, Caller>();
  /** Request id to the keys of the scopes that it holds a place in. */
  const leases = new Map<string, readonly string[]>();

  const renew = (id: string, keys: readonly string[]) =>
    breaker.run(() => redis.renew(keys, [id, String(leaseMs)])).catch(() => undefined);

  const isRecent = ({ seenAt }: Caller) => monotonicNow() - seenAt < EXPECTED_FOR_MS;

  function makeRoom(): boolean {
    if (callers.size < MAX_CALLERS) return true;
    for (const [key, caller] of callers) if (!isRecent(caller)) callers.delete(key);
    return callers.size < MAX_CALLERS;
  }

  async function tell({ context, scopes, keys }: Pick<Caller, 'context' | 'scopes' | 'keys'>): Promise<void> {
    const args = scopes.flatMap((scope) => {
      const { requests_per_minute, requests_per_hour } = scope.limits;
      const keptMs = requests_per_hour !== null ? 3_600_000 : requests_per_minute !== null ? 60_000 : 0;
      const steps = local.admittedIn(context, scope).filter(({ agoMs }) => agoMs < keptMs);
      return [keptMs, steps.length, ...steps.flatMap(({ agoMs, requests }) => [agoMs, requests])].map(String);
    });
    await breaker.run(() => redis.retell(keys, [instanceId, ...args]));
  }

  const renewAll = () => {
    for (const [id, keys] of leases) void renew(id, keys);
  };

  return {
    /** The generation that Redis must have of this caller's tenant; empty: any. */
    expected(keys: readonly string[]): string {
      const caller = callers.get(keys.join(' '));
      return caller !== undefined && isRecent(caller) ? String(caller.generation) : '';
    },
    saw(
      context: TenantContext,
      scopes: readonly LimitScope[],
      keys: readonly string[],
      generation: number,
    ): void {
      const key = keys.join(' ');
      const caller = callers.get(key);
      const seenAt = monotonicNow();
      if (caller !== undefined) Object.assign(caller, { generation, seenAt, scopes });
      else if (makeRoom()) callers.set(key, { generation, seenAt, context, scopes, keys });
    },
    /** The request holds a place among concurrent requests until it is released. */
    hold(id: string, keys: readonly string[]): void {
      if (keys.length > 0) leases.set(id, keys);
    },
    release(id: string): void {
      leases.delete(id);
    },
    /** A tenant that is erased is not told again. */
    forget(tenantId: TenantId): void {
      for (const [key, caller] of callers) if (caller.context.tenantId === tenantId) callers.delete(key);
    },
    /** Places of all tenants. */
    renewAll,
    /** Places and requests of all tenants. Never throws: what cannot be told now is told when its caller asks again. */
    async tellAll(): Promise<void> {
      renewAll();
      const recent = [...callers.values()].filter(isRecent);
      for (let at = 0; at < recent.length; at += TOLD_AT_ONCE) {
        await Promise.all(
          recent.slice(at, at + TOLD_AT_ONCE).map((caller) => tell(caller).catch(() => undefined)),
        );
      }
    },
    /** All that is known here of the caller's scopes. Throws where Redis cannot be told. */
    async tell(
      context: TenantContext,
      scopes: readonly LimitScope[],
      keys: readonly string[],
    ): Promise<void> {
      const ofCaller = new Set(keys);
      for (const [id, held] of leases) if (held.some((key) => ofCaller.has(key))) void renew(id, held);
      await tell({ context, scopes, keys });
    },
  };
}
