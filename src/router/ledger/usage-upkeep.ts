import type { Database } from '#app/database/database.ts';
import type { TenantId } from '#app/ids.ts';
import type { Logger } from '#observability/logger.ts';
import { administrationContext } from '#router/identity/administration-context.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';
import { createTenantUpkeep, deleteInBatches, type TenantUpkeep } from '#router/tenants/tenant-upkeep.ts';

const FIRST_MS = 5_000;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MONTHS_AHEAD = 2;

const DELETE = `
  DELETE FROM bulkhead.usage_records WHERE tenant_id = $1 AND request_id IN (
    SELECT request_id FROM bulkhead.usage_records WHERE tenant_id = $1 AND created_at < $2 LIMIT $3)
  RETURNING request_id`;

/** Keeps the ledger's tables in shape: a partition for each month to come, and each tenant's `retention_days`. */
export function createUsageUpkeep(options: {
  database: Database;
  tenants: Pick<TenantStore, 'list'>;
  logger: Logger;
  now: () => number;
}): TenantUpkeep {
  const { database, tenants, logger, now } = options;

  async function addMonths(): Promise<void> {
    for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead++) {
      await database.asSystem(
        (transaction) =>
          transaction.query(
            `SELECT bulkhead.add_usage_month($1::timestamptz + $2::integer * interval '1 month')`,
            [new Date(now()), ahead],
          ),
        'platform:upkeep',
      );
    }
  }

  /** Rows and their sums up to the same hour, so that they go on agreeing. What was spent in a month stays. */
  async function expire(tenantId: TenantId, days: number, isClosed: () => boolean): Promise<number> {
    const before = new Date(Math.floor((now() - days * DAY_MS) / HOUR_MS) * HOUR_MS);
    const { deleted, isDone } = await deleteInBatches({ database, tenantId, sql: DELETE, before, isClosed });
    if (!isDone) return deleted;
    await database.asTenant(administrationContext(tenantId), (transaction) =>
      transaction.query('DELETE FROM bulkhead.usage_hours WHERE tenant_id = $1 AND hour < $2', [
        tenantId,
        before,
      ]),
    );
    return deleted;
  }

  return createTenantUpkeep({
    tenants,
    firstMs: FIRST_MS,
    before: addMonths,
    async tend({ tenant_id, config }, isClosed) {
      return config.retention_days === null ? 0 : expire(tenant_id, config.retention_days, isClosed);
    },
    async after() {
      await database.asSystem(
        (transaction) => transaction.query(`SELECT bulkhead.drop_empty_usage_months($1)`, [new Date(now())]),
        'platform:upkeep',
      );
    },
    onError(error, tenant_id) {
      if (tenant_id === null) {
        logger.warn({ event: 'usage_upkeep_failed', err: error }, 'the ledger’s tables are cleaned later');
      } else logger.warn({ event: 'usage_kept', tenant_id, err: error }, 'old usage is still kept');
    },
  });
}
