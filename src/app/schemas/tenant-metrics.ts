import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import { tokenUsageSchema } from '#app/schemas/token-usage.ts';

/** What one finished request says of itself: the source of the CloudWatch metrics and of the request log line. */
export const tenantMetricsSchema = z.object({
  timestamp: z.iso.datetime(),
  request_id: z.string(),
  tenant_id: tenantIdSchema,
  user_id: z.string(),
  route: z.string(),
  model: z.string().nullable(),
  status: z.int(),
  /** RequestLatency, milliseconds from the first byte read to the last byte written. */
  latency_ms: z.number().nonnegative(),
  /** TokenUsage. */
  token_usage: tokenUsageSchema,
  /** Of prompts that an engine did not count: in the cost, and not in TokenUsage. */
  estimated_prompt_tokens: z.int().nonnegative(),
  /** CostEstimate, US dollars. */
  cost_usd_estimate: z.number().nonnegative(),
  /** TimeToFirstToken, milliseconds from asking the engine to its first piece of text; null where none came. */
  time_to_first_token_ms: z.number().nonnegative().nullable(),
  /** TimePerOutputToken, milliseconds a token after the first; null where fewer than two came. */
  time_per_output_token_ms: z.number().nonnegative().nullable(),
  /** RefusalCount: one for each metric whose reason is not null. */
  refusal_reason: z.string().nullable(),
  chunk_ids: z.array(z.string()),
  /** The chunk ids that the answer cites. */
  citations: z.array(z.string()),
  /** Where the request is traced. */
  trace_id: z.string().optional(),
});
export type TenantMetrics = z.infer<typeof tenantMetricsSchema>;
