import { newRequestId, type TenantId, type UserId } from '#app/ids.ts';
import { createTenantContext, SCOPES_OF_ROLE, type TenantContext } from '#app/tenant-context.ts';

/** The context of a background job: it acts for the owner of a document, whose ids its payload proves nothing of. */
export function backgroundContext(tenantId: TenantId, userId: UserId): TenantContext {
  return createTenantContext({
    tenantId,
    userId,
    role: 'service',
    scopes: SCOPES_OF_ROLE.service,
    keyId: null,
    requestId: newRequestId(),
  });
}
