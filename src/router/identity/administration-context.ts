import { newRequestId, type TenantId, userIdSchema } from '#app/ids.ts';
import { createTenantContext, type TenantContext } from '#app/tenant-context.ts';

/** Owns nothing; no document or conversation is its. */
const NOBODY = userIdSchema.parse('system');

/** The context in which the platform itself administers a tenant: to erase it, at an operator's word. */
export function administrationContext(tenantId: TenantId): TenantContext {
  return createTenantContext({
    tenantId,
    userId: NOBODY,
    role: 'admin',
    scopes: ['tenant:admin'],
    keyId: null,
    requestId: newRequestId(),
  });
}
