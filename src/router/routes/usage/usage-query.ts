import { z } from 'zod';
import { userIdSchema } from '#app/ids.ts';
import { pageRequestSchema } from '#app/schemas/page.ts';
import { timeSchema } from '#app/schemas/time.ts';
import type { UsageFilter } from '#router/ledger/usage-store.ts';

const rangeSchema = z.strictObject({
  from: timeSchema.optional().describe('What began at this time or after.'),
  to: timeSchema.optional().describe('What began before this time.'),
  route: z
    .string()
    .regex(/^[a-z_-]{1,64}$/, 'must be the name of a route')
    .optional()
    .describe('Of this route alone, such as `rag`, `chat` or `vault`.'),
});

/** `GET /v1/usage` */
export const usageQuerySchema = z.strictObject({ ...pageRequestSchema.shape, ...rangeSchema.shape });
/** `GET /admin/tenants/:tenant_id/usage` */
export const tenantUsageQuerySchema = z.strictObject({
  ...usageQuerySchema.shape,
  user_id: userIdSchema.optional().describe('Of this user alone.'),
});
/** `GET /admin/usage`. The tenant's id is not checked for its shape: one that cannot exist has no usage. */
export const usageByTenantQuerySchema = z.strictObject({
  ...rangeSchema.shape,
  ...pageRequestSchema.shape,
  tenant_id: z.string().max(64).optional().describe('Of this tenant alone.'),
});

export const usageFilterOf = (query: {
  from?: string | undefined;
  to?: string | undefined;
  route?: string | undefined;
  user_id?: string | undefined;
}): UsageFilter => ({
  from: query.from === undefined ? null : new Date(query.from),
  to: query.to === undefined ? null : new Date(query.to),
  route: query.route ?? null,
  user: query.user_id ?? null,
});

export const pageRequestOf = ({ limit, after }: { limit: number; after?: string | undefined }) => ({
  limit,
  ...(after === undefined ? {} : { after }),
});
