import type { Database } from '#app/database/database.ts';
import { firstIdAt } from '#app/ids.ts';
import type { Logger } from '#observability/logger.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';
import { createTenantUpkeep, deleteInBatches, type TenantUpkeep } from '#router/tenants/tenant-upkeep.ts';

const FIRST_MS = 60_000;
const DAY_MS = 86_400_000;

const DELETE = `
  DELETE FROM bulkhead.request_log WHERE tenant_id = $1 AND request_id IN (
    SELECT request_id FROM bulkhead.request_log WHERE tenant_id = $1 AND request_id < $2
     ORDER BY request_id LIMIT $3)
  RETURNING request_id`;

/** Deletes what is older than its tenant keeps it. */
export function createRequestLogExpiry(options: {
  database: Database;
  tenants: Pick<TenantStore, 'list'>;
  logger: Logger;
  now: () => number;
  /** Other things that are over, to be deleted at the same times. */
  alongside?: () => Promise<void>;
}): TenantUpkeep {
  const { database, tenants, logger, now, alongside } = options;
  return createTenantUpkeep({
    tenants,
    firstMs: FIRST_MS,
    async before() {
      await alongside?.().catch((error: unknown) => {
        logger.warn({ event: 'expiry_failed', err: error }, 'what is over is still kept');
      });
    },
    async tend({ tenant_id: tenantId, config }, isClosed) {
      const before = firstIdAt('req', now() - config.request_log.retention_days * DAY_MS);
      return (await deleteInBatches({ database, tenantId, sql: DELETE, before, isClosed })).deleted;
    },
    onError(error, tenant_id) {
      const tenant = tenant_id === null ? {} : { tenant_id };
      logger.warn({ event: 'request_log_kept', ...tenant, err: error }, 'old requests are still logged');
    },
  });
}
