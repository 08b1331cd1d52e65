import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import { tenantConfigPatchSchema } from '#app/schemas/tenant-config.ts';
import { timeSchema } from '#app/schemas/time.ts';

/** Requests that one dry run looks at, at most. */
export const MAX_REPLAYED = 5_000;

/** `POST /admin/policy/dry-run`: which of the tenant's recent requests would go otherwise under this draft. */
export const policyDryRunRequestSchema = z.strictObject({
  tenant_id: tenantIdSchema,
  config: tenantConfigPatchSchema.describe(
    'The draft, as for `PATCH /admin/tenants/{tenant_id}`: what is not named stays.',
  ),
  from: timeSchema.optional().describe('Requests that began then or later. Absent: all that the log has.'),
  to: timeSchema.optional().describe('Requests that began before.'),
  limit: z.int().min(1).max(MAX_REPLAYED).default(1_000).describe('The newest so many of them.'),
});

export const DRY_RUN_CHANGES = ['newly_refused', 'newly_allowed', 'undecidable'] as const;
export type DryRunChange = (typeof DRY_RUN_CHANGES)[number];

export const policyDryRunSchema = z.object({
  tenant_id: tenantIdSchema,
  /** The version that the draft was applied to. */
  config_version: z.int().positive(),
  /** Requests that were looked at, and when the first and the last of them began. */
  requests: z.int().nonnegative(),
  from: z.string().nullable(),
  to: z.string().nullable(),
  /** True where older requests match as well, or time ran out. */
  truncated: z.boolean(),
  unchanged: z.int().nonnegative(),
  newly_refused: z.int().nonnegative(),
  /** What refused them no longer does. One that a limit had stopped was never looked at further. */
  newly_allowed: z.int().nonnegative(),
  /** The draft changes a rule on texts or tools, and what it needs of the request is not kept. */
  undecidable: z.int().nonnegative(),
  by_rule: z.array(
    z.object({
      change: z.enum(DRY_RUN_CHANGES),
      /** Refused: by this rule of the draft. Allowed: this rule of the recorded version refused it. Undecidable: by this. */
      rule: z.string(),
      requests: z.int().positive(),
      sample_request_ids: z.array(z.string()),
    }),
  ),
  /** Fields that the draft changes and a replay says nothing of. */
  not_replayed: z.array(z.string()),
});
export type PolicyDryRun = z.infer<typeof policyDryRunSchema>;
