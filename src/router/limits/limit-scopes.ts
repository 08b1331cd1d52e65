import type { TenantRateLimit } from '#app/schemas/tenant-rate-limit.ts';
import type { LimitScope } from '#router/limits/rate-limiter.ts';

/** Every limit that a request of this tenant is under: the tenant's, its user's, and its key's where it has one. */
export function limitScopesOf(limits: TenantRateLimit, hasKey: boolean): LimitScope[] {
  const { per_user, per_key, on_outage: onOutage } = limits;
  const scopes: LimitScope[] = [{ scope: 'tenant', limits, onOutage }];
  if (per_user !== null) scopes.push({ scope: 'user', limits: per_user, onOutage });
  if (per_key !== null && hasKey) scopes.push({ scope: 'key', limits: per_key, onOutage });
  return scopes;
}

/** The fewest tokens a minute that any of the scopes allows: no more can be held for one request. null: no limit. */
export function tokenLimitOf(scopes: readonly LimitScope[]): number | null {
  let least: number | null = null;
  for (const { limits } of scopes) {
    const limit = limits.tokens_per_minute;
    if (limit !== null && (least === null || limit < least)) least = limit;
  }
  return least;
}
