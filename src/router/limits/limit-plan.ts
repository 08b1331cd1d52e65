import { hash } from 'node:crypto';
import type { TenantId } from '#app/ids.ts';
import { RecentMap } from '#app/recent-map.ts';
import type { TenantRateLimit } from '#app/schemas/tenant-rate-limit.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { LIMIT_ITEMS } from '#router/limits/limit-items.ts';
import { limitScopesOf, tokenLimitOf } from '#router/limits/limit-scopes.ts';
import type { LimitName, LimitScope } from '#router/limits/rate-limiter.ts';

/** Of SHA-256 in base64: the first nine bytes. */
const PARTITION_CHARACTERS = 12;
/** Callers whose fields are kept at least. */
const RECENT_CALLERS = 200;

/** What each limit's item in `RateLimit-Policy` says besides its quota. Requests are the draft's unit where none is named. */
const UNITS: Readonly<Record<LimitName, string>> = {
  requests_per_minute: ';w=60',
  requests_per_hour: ';w=3600',
  // Not in the draft's registry; without it the quota would be taken for requests.
  tokens_per_minute: ';qu="tokens";w=60',
  concurrent_requests: ';qu="concurrent-requests"',
};
const NAMES: readonly LimitName[] = [
  'requests_per_minute',
  'requests_per_hour',
  'tokens_per_minute',
  'concurrent_requests',
];

type Scope = LimitScope['scope'];

/** Whose quota a limit is, by its scope: the draft's partition keys, in base64. */
export type PartitionKeys = Readonly<Record<Scope, string>>;

/** What stays the same for all requests of one caller. */
export type CallerFields = Readonly<{
  partitions: PartitionKeys;
  /** The value of `RateLimit-Policy`: every limit of every scope. Empty: there is none. */
  policyField: string;
}>;

/** What stays the same for all requests under one version of a tenant's limits. */
export type LimitPlan = Readonly<{
  scopes: readonly LimitScope[];
  /** The fewest tokens a minute that any scope allows; null: no limit. */
  tokenLimit: number | null;
  fieldsOf: (context: TenantContext) => CallerFields;
}>;

/** Made once a version of the config, for callers with a key of their own and without. */
export type LimitPlans = Readonly<{ withKey: LimitPlan; withoutKey: LimitPlan }>;

export function planLimits(tenantId: TenantId, limits: TenantRateLimit): LimitPlans {
  return { withKey: planOf(tenantId, limits, true), withoutKey: planOf(tenantId, limits, false) };
}

function planOf(tenantId: TenantId, limits: TenantRateLimit, hasKey: boolean): LimitPlan {
  const scopes = limitScopesOf(limits, hasKey);
  const tenant = partitionKey(tenantId);
  const items = scopes.flatMap(({ scope, limits: ofScope }) =>
    NAMES.flatMap((name) =>
      ofScope[name] === null
        ? []
        : [{ scope, text: `${LIMIT_ITEMS[scope][name]};q=${ofScope[name]}${UNITS[name]};pk=:` }],
    ),
  );
  const written = (partitions: PartitionKeys): CallerFields => ({
    partitions,
    policyField: items.map(({ scope, text }) => `${text}${partitions[scope]}:`).join(', '),
  });
  const ofTenant = written({ tenant, user: '', key: '' });
  const recent = scopes.length > 1 ? new RecentMap<string, CallerFields>(RECENT_CALLERS) : null;
  return {
    scopes,
    tokenLimit: tokenLimitOf(scopes),
    fieldsOf({ userId, keyId }) {
      if (recent === null) return ofTenant;
      // No user's id holds a slash.
      const caller = `${userId}/${keyId}`;
      const known = recent.get(caller);
      if (known !== undefined) return known;
      const fields = written({
        tenant,
        user: partitionKey(`${tenantId}/user/${userId}`),
        key: keyId === null ? '' : partitionKey(`${tenantId}/key/${keyId}`),
      });
      recent.set(caller, fields);
      return fields;
    },
  };
}

/** A hash, because ids of users may be addresses, and headers end in the logs of proxies. */
const partitionKey = (of: string) => hash('sha256', of, 'base64').slice(0, PARTITION_CHARACTERS);
