import { z } from 'zod';

/** null: no limit. */
const limits = {
  requests_per_minute: z.int().positive().max(10_000_000).nullable(),
  requests_per_hour: z.int().positive().max(100_000_000).nullable(),
  tokens_per_minute: z.int().positive().max(1_000_000_000).nullable(),
  concurrent_requests: z.int().positive().max(1_000_000).nullable(),
};
const onOutage = z.enum(['deny', 'degrade']);

/** Limits that each user, or each key, of a tenant has besides those of the whole tenant. */
export const shareLimitSchema = z.strictObject({
  requests_per_minute: limits.requests_per_minute.default(null),
  requests_per_hour: limits.requests_per_hour.default(null),
  tokens_per_minute: limits.tokens_per_minute.default(null),
  concurrent_requests: limits.concurrent_requests.default(null),
});

/** Limits of one tenant. Each holds in any sliding window of its length; null means no limit. */
export const tenantRateLimitSchema = z.strictObject({
  requests_per_minute: limits.requests_per_minute.default(120),
  requests_per_hour: limits.requests_per_hour.default(3_600),
  tokens_per_minute: limits.tokens_per_minute.default(null),
  concurrent_requests: limits.concurrent_requests.default(null),
  per_user: shareLimitSchema.nullable().default(null),
  per_key: shareLimitSchema.nullable().default(null),
  /** While the shared counters cannot be reached: deny, or count each router's share of the limits by itself. */
  on_outage: onOutage.default('degrade'),
});
export type TenantRateLimit = z.infer<typeof tenantRateLimitSchema>;

/** Some of them; what is left out stays as it is. `per_user` and `per_key` are replaced whole. */
export const tenantRateLimitPatchSchema = z
  .strictObject({
    ...limits,
    per_user: shareLimitSchema.nullable(),
    per_key: shareLimitSchema.nullable(),
    on_outage: onOutage,
  })
  .partial();
