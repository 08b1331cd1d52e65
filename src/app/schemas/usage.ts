import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import { pageOf } from '#app/schemas/page.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';

/** How a request ended: `aborted` means that the client left first. */
export const usageOutcomeSchema = z.enum(['ok', 'refused', 'error', 'aborted']);
export type UsageOutcome = z.infer<typeof usageOutcomeSchema>;

/** One request in the usage ledger. */
export const usageRecordSchema = z.object({
  request_id: z.string(),
  tenant_id: tenantIdSchema,
  user_id: z.string(),
  key_id: z.string().nullable(),
  route: z.string(),
  model: z.string().nullable(),
  token_usage: tokenUsageSchema,
  /**
   * Of prompts that a model was given and has not counted, because the client left first: roughly, by their length. They are in the
   * cost and in no other count of tokens, so that what engines have counted stays what they have counted.
   */
  estimated_prompt_tokens: z.int().nonnegative().default(0),
  cost_usd_estimate: z.number().nonnegative(),
  /** The price that the cost was computed by; null: that of the settings. */
  price_version: z.int().positive().nullable().default(null),
  /** What was found for the engine, and how long that took; null: nothing was searched. */
  retrieval: z
    .object({ chunks: z.int().nonnegative(), latency_ms: z.number().nonnegative() })
    .nullable()
    .default(null),
  latency_ms: z.number().nonnegative(),
  status: z.int(),
  outcome: usageOutcomeSchema,
  refusal_reason: z.string().nullable(),
  created_at: z.string(),
});
export type UsageRecord = z.infer<typeof usageRecordSchema>;

export const usageTotalsSchema = z.object({
  requests: z.int().nonnegative(),
  refused: z.int().nonnegative(),
  errors: z.int().nonnegative(),
  aborted: z.int().nonnegative(),
  token_usage: tokenUsageSchema,
  estimated_prompt_tokens: z.int().nonnegative().default(0),
  cost_usd_estimate: z.number().nonnegative(),
});
export type UsageTotals = z.infer<typeof usageTotalsSchema>;

/** Totals over all rows that match, then the newest of those rows, paged. */
export const usageReportSchema = pageOf(usageRecordSchema).extend({
  totals: usageTotalsSchema,
  by_route: z.array(usageTotalsSchema.extend({ route: z.string() })),
});
export type UsageReport = z.infer<typeof usageReportSchema>;

/** `GET /admin/usage`: totals by tenant, all tenants that the caller may see. */
export const tenantUsageSchema = pageOf(usageTotalsSchema.extend({ tenant_id: tenantIdSchema }));
export type TenantUsage = z.infer<typeof tenantUsageSchema>;
