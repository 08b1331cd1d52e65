import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { type TenantId, tenantIdSchema } from '#app/ids.ts';
import { keyIdSchema } from '#app/schemas/api-key.ts';
import type { TenantConfigPatch } from '#app/schemas/tenant-config.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { principalOf } from '#router/http/request-state.ts';
import { administrationContext } from '#router/identity/administration-context.ts';
import type { Principal } from '#router/identity/principal.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';

export const tenantParamsSchema = z.object({ tenant_id: tenantIdSchema });
export const versionParamsSchema = z.object({
  tenant_id: tenantIdSchema,
  version: z
    .string()
    .regex(/^[1-9][0-9]{0,8}$/)
    .transform(Number)
    .describe('The number of the version, from 1.'),
});
export const keyParamsSchema = z.object({ tenant_id: tenantIdSchema, key_id: keyIdSchema });

/** The caller, if the tenant is within reach; otherwise the same 404 as for a tenant that does not exist. */
export function administratorOf(request: FastifyRequest, tenantId: TenantId): Principal {
  const principal = principalOf(request);
  if (principal.kind === 'tenant' && principal.context.tenantId !== tenantId) throw notFound('tenant');
  return principal;
}

/**
 * A context in which rows of the tenant are read, for an administrator of it: row-level security then sees to it that they
 * are no other's. Throws the 404 of {@link administratorOf}, also for a tenant that does not exist.
 */
export async function tenantAsked(
  request: FastifyRequest,
  tenantId: TenantId,
  tenants: Pick<TenantStore, 'get'>,
): Promise<TenantContext> {
  const principal = administratorOf(request, tenantId);
  if (principal.kind === 'tenant') return principal.context;
  await tenants.get(tenantId);
  return administrationContext(tenantId);
}

/** What a tenant is entitled to: an operator's to change, or tenants would outspend one another. */
const OPERATOR_FIELDS: readonly (keyof TenantConfigPatch)[] = [
  'enabled',
  'allowed_routes',
  'models',
  'rate_limits',
  'budget_usd_per_month',
  'storage',
  'weight',
  'identity',
];

/** Throws `missing_scope` naming the first field that this caller may not change. */
export function refuseOperatorFields(
  principal: Principal,
  patch: Partial<Record<keyof TenantConfigPatch, unknown>>,
): void {
  if (principal.kind === 'operator') return;
  const field = OPERATOR_FIELDS.find((name) => patch[name] !== undefined);
  if (field === undefined) return;
  throw new BulkheadError('missing_scope', `${field}: only an operator may change this`, {
    param: field,
    refusal: { policy: 'scopes' },
  });
}
