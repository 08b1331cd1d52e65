import { z } from 'zod';
import { requestIdSchema } from '#app/ids.ts';
import { usageOutcomeSchema } from '#app/schemas/usage.ts';
import type { RequestFilter } from '#router/request-log/request-log-store.ts';
import { tenantUsageQuerySchema } from '#router/routes/usage/usage-query.ts';

/** `GET /admin/tenants/:tenant_id/requests` */
export const requestLogQuerySchema = z.strictObject({
  ...tenantUsageQuerySchema.shape,
  /** The last request of the page before. */
  after: requestIdSchema.optional(),
  outcome: usageOutcomeSchema.optional(),
  model: z
    .string()
    .regex(/^\P{Cc}{1,200}$/u, 'must be the name of a model')
    .optional(),
  /** Such as `rate_limit_exceeded`. */
  refusal_reason: z
    .string()
    .regex(/^[a-z_]{1,64}$/, 'must be a refusal reason')
    .optional(),
});

export const requestFilterOf = (query: z.infer<typeof requestLogQuerySchema>): RequestFilter => ({
  from: query.from === undefined ? null : new Date(query.from),
  to: query.to === undefined ? null : new Date(query.to),
  outcome: query.outcome ?? null,
  user: query.user_id ?? null,
  route: query.route ?? null,
  model: query.model?.toWellFormed() ?? null,
  refusal: query.refusal_reason ?? null,
});
