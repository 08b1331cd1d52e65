import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { notFound } from '#app/errors/bulkhead-error.ts';
import { type TenantId, tenantIdSchema } from '#app/ids.ts';
import { AUDIT_ACTIONS } from '#app/schemas/audit-event.ts';
import { pageRequestSchema } from '#app/schemas/page.ts';
import { principalOf } from '#router/http/request-state.ts';
import type { Principal } from '#router/identity/principal.ts';
import { administratorOf } from '#router/routes/admin/tenant-access.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';

/** The id's shape is not checked: one that cannot exist is one that does not. */
export const auditChainQuerySchema = z.strictObject({
  tenant_id: z
    .string()
    .max(64)
    .optional()
    .describe('Whose chain. Absent: a tenant admin’s own; an operator’s is that of the platform.'),
});

/** `GET /admin/audit` */
export const auditQuerySchema = z.strictObject({
  ...auditChainQuerySchema.shape,
  limit: pageRequestSchema.shape.limit,
  after: z
    .string()
    .regex(/^[1-9][0-9]{0,14}$/, 'must be the seq of an event')
    .optional()
    .describe('The `seq` of the last event of the page before.'),
  action: z.enum(AUDIT_ACTIONS).optional().describe('Only events of this kind.'),
});

/** The caller and the chain that it asks for; null: the operators' own, which operators alone can name. */
export async function chainAskedFor(
  request: FastifyRequest,
  asked: string | undefined,
  tenants: TenantStore,
): Promise<{ reader: Principal; tenantId: TenantId | null }> {
  const reader = principalOf(request);
  if (asked === undefined) {
    return { reader, tenantId: reader.kind === 'tenant' ? reader.context.tenantId : null };
  }
  const tenantId = tenantIdSchema.safeParse(asked);
  if (!tenantId.success) throw notFound('tenant');
  administratorOf(request, tenantId.data);
  await tenants.get(tenantId.data);
  return { reader, tenantId: tenantId.data };
}
