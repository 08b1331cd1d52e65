import type { Database } from '#app/database/database.ts';
import { newRequestId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import {
  createTenantContext,
  SCOPES_OF_ROLE,
  type TenantContext,
  type TenantRole,
} from '#app/tenant-context.ts';

/** A context as the router's identity would make it. */
export function testContext(tenantId: string, userId = 'alice', role: TenantRole = 'member'): TenantContext {
  return createTenantContext({
    tenantId: tenantIdSchema.parse(tenantId),
    userId: userIdSchema.parse(userId),
    role,
    scopes: SCOPES_OF_ROLE[role],
    keyId: null,
    requestId: newRequestId(),
  });
}

/** A tenant's row with the default policy: other tables refer to it. */
export async function insertTestTenant(database: Database, tenantId: string): Promise<void> {
  const config = tenantConfigSchema.parse({ tenant_id: tenantId, display_name: tenantId });
  await database.asSystem((transaction) =>
    transaction.query('INSERT INTO bulkhead.tenants (tenant_id, config) VALUES ($1, $2::jsonb)', [
      tenantId,
      JSON.stringify(config),
    ]),
  );
}
