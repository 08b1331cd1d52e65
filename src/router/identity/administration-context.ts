import { newRequestId, type TenantId, type UserId, userIdSchema } from '#app/ids.ts';
import { createTenantContext, type TenantContext } from '#app/tenant-context.ts';

/** Owns nothing; no document or conversation is its. */
const NOBODY = userIdSchema.parse('system');

/** The context in which the platform itself administers a tenant, at an operator's word: to erase it, or to read rows of it. */
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

/** The context in which one user's documents are read for an export of the whole tenant, and nothing is written. */
export function ownerContext(tenantId: TenantId, userId: UserId): TenantContext {
  return createTenantContext({
    tenantId,
    userId,
    role: 'member',
    scopes: ['vault:read'],
    keyId: null,
    requestId: newRequestId(),
  });
}
