import { z } from 'zod';

/** Limits of one tenant. Each holds in any sliding window of its length; null means no limit. */
export const tenantRateLimitSchema = z.strictObject({
  requests_per_minute: z.int().positive().max(10_000_000).nullable().default(120),
  requests_per_hour: z.int().positive().max(100_000_000).nullable().default(3_600),
  tokens_per_minute: z.int().positive().max(1_000_000_000).nullable().default(null),
  concurrent_requests: z.int().positive().max(1_000_000).nullable().default(null),
  /** While the shared counters cannot be reached: deny, or count each router's share of the limits by itself. */
  on_outage: z.enum(['deny', 'degrade']).default('degrade'),
});
export type TenantRateLimit = z.infer<typeof tenantRateLimitSchema>;
