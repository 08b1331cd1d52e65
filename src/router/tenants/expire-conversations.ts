import type { Database } from '#app/database/database.ts';
import type { Logger } from '#observability/logger.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';
import { createTenantUpkeep, deleteInBatches, type TenantUpkeep } from '#router/tenants/tenant-upkeep.ts';

const FIRST_MS = 75_000;
const DAY_MS = 86_400_000;

/** Their messages go with them by their foreign key. One that is gone on with meanwhile is looked at again, and stays. */
const DELETE = `
  DELETE FROM bulkhead.conversations WHERE tenant_id = $1 AND updated_at < $2 AND conversation_id IN (
    SELECT conversation_id FROM bulkhead.conversations WHERE tenant_id = $1 AND updated_at < $2
     ORDER BY updated_at LIMIT $3)
  RETURNING conversation_id`;

/** Deletes conversations that nobody has gone on with for a tenant's `retention_days`. */
export function createConversationExpiry(options: {
  database: Database;
  tenants: Pick<TenantStore, 'list'>;
  logger: Logger;
  now: () => number;
}): TenantUpkeep {
  const { database, tenants, logger, now } = options;
  return createTenantUpkeep({
    tenants,
    firstMs: FIRST_MS,
    async tend({ tenant_id: tenantId, config: { retention_days: days } }, isClosed) {
      if (days === null) return 0;
      const before = new Date(now() - days * DAY_MS);
      return (await deleteInBatches({ database, tenantId, sql: DELETE, before, isClosed })).deleted;
    },
    onError(error, tenant_id) {
      const tenant = tenant_id === null ? {} : { tenant_id };
      logger.warn({ event: 'conversations_kept', ...tenant, err: error }, 'old conversations are still kept');
    },
  });
}
