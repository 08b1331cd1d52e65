import { z } from 'zod';
import { userIdSchema } from '#app/ids.ts';
import { pageRequestSchema } from '#app/schemas/page.ts';
import type { UsageFilter } from '#router/ledger/usage-store.ts';

const rangeSchema = z.strictObject({
  /** Rows at or after this time, and before the other. */
  from: z.iso.datetime({ offset: true }).optional(),
  to: z.iso.datetime({ offset: true }).optional(),
  route: z
    .string()
    .regex(/^[a-z_-]{1,64}$/, 'must be the name of a route')
    .optional(),
});

/** `GET /v1/usage` */
export const usageQuerySchema = z.strictObject({ ...pageRequestSchema.shape, ...rangeSchema.shape });
/** `GET /admin/tenants/:tenant_id/usage` */
export const tenantUsageQuerySchema = z.strictObject({
  ...usageQuerySchema.shape,
  user_id: userIdSchema.optional(),
});
/** `GET /admin/usage`. The tenant's id is not checked for its shape: one that cannot exist has no usage. */
export const usageByTenantQuerySchema = z.strictObject({
  ...rangeSchema.shape,
  ...pageRequestSchema.shape,
  tenant_id: z.string().max(64).optional(),
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
