import { z } from 'zod';
import { requestIdSchema } from '#app/ids.ts';
import { usageOutcomeSchema } from '#app/schemas/usage.ts';
import { WITHOUT_CONTROL_CHARACTERS } from '#app/schemas/without-control-characters.ts';
import type { RequestFilter } from '#router/request-log/request-log-store.ts';
import { tenantUsageQuerySchema } from '#router/routes/usage/usage-query.ts';

/** `GET /admin/tenants/:tenant_id/requests` */
export const requestLogQuerySchema = z.strictObject({
  ...tenantUsageQuerySchema.shape,
  after: requestIdSchema.optional().describe('The last request of the page before; absent: the first page.'),
  outcome: usageOutcomeSchema.optional().describe('What became of the request.'),
  model: z
    .string()
    .min(1)
    .max(200)
    .regex(WITHOUT_CONTROL_CHARACTERS, 'must be the name of a model')
    .optional()
    .describe('Answered by this model.'),
  refusal_reason: z
    .string()
    .regex(/^[a-z_]{1,64}$/, 'must be a refusal reason')
    .optional()
    .describe('Refused for this reason, such as `rate_limit_exceeded`.'),
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
