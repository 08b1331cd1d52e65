import type { Database } from '#app/database/database.ts';
import type { TenantId } from '#app/ids.ts';
import type { Logger } from '#observability/logger.ts';
import { administrationContext } from '#router/identity/administration-context.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';

export interface UsageUpkeep {
  /** Makes months ahead and deletes what is older than its tenant keeps it, now and every hour. */
  start(): void;
  /** One pass; how many rows went. */
  run(): Promise<number>;
  close(): Promise<void>;
}

const FIRST_MS = 5_000;
const EVERY_MS = 3_600_000;
/** Rows of one statement, and statements of one tenant in one pass: nobody waits long for a table that is cleaned. */
const BATCH = 1_000;
const MAX_BATCHES = 500;
const TENANTS_PER_PAGE = 100;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const MONTHS_AHEAD = 2;

/** Keeps the ledger's tables in shape: a partition for each month to come, and each tenant's `retention_days`. */
export function createUsageUpkeep(options: {
  database: Database;
  tenants: Pick<TenantStore, 'list'>;
  logger: Logger;
  now: () => number;
}): UsageUpkeep {
  const { database, tenants, logger, now } = options;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let isClosed = false;

  async function addMonths(): Promise<void> {
    for (let ahead = 0; ahead <= MONTHS_AHEAD; ahead++) {
      await database.asSystem((transaction) =>
        transaction.query(
          `SELECT bulkhead.add_usage_month($1::timestamptz + $2::integer * interval '1 month')`,
          [new Date(now()), ahead],
        ),
      );
    }
  }

  /** Rows and their sums up to the same hour, so that they go on agreeing. What was spent in a month stays. */
  async function expire(tenantId: TenantId, days: number): Promise<number> {
    const before = new Date(Math.floor((now() - days * DAY_MS) / HOUR_MS) * HOUR_MS);
    let deleted = 0;
    for (let batch = 0; batch < MAX_BATCHES && !isClosed; batch++) {
      const rows = await database.asTenant(administrationContext(tenantId), (transaction) =>
        transaction.query(
          `DELETE FROM bulkhead.usage_records WHERE tenant_id = $1 AND request_id IN (
             SELECT request_id FROM bulkhead.usage_records WHERE tenant_id = $1 AND created_at < $2 LIMIT $3)
           RETURNING request_id`,
          [tenantId, before, BATCH],
        ),
      );
      deleted += rows.length;
      if (rows.length === BATCH) continue;
      await database.asTenant(administrationContext(tenantId), (transaction) =>
        transaction.query('DELETE FROM bulkhead.usage_hours WHERE tenant_id = $1 AND hour < $2', [
          tenantId,
          before,
        ]),
      );
      break;
    }
    return deleted;
  }

  async function run(): Promise<number> {
    await addMonths();
    let deleted = 0;
    for (let after: string | undefined; !isClosed; ) {
      const page = await tenants.list({ limit: TENANTS_PER_PAGE, ...(after === undefined ? {} : { after }) });
      for (const { tenant_id, config } of page.data) {
        if (isClosed || config.retention_days === null) continue;
        // One tenant whose rows cannot be deleted keeps no other's.
        deleted += await expire(tenant_id, config.retention_days).catch((error: unknown) => {
          logger.warn({ event: 'usage_kept', tenant_id, err: error }, 'old usage is still kept');
          return 0;
        });
      }
      if (!page.has_more || page.last_id === null) break;
      after = page.last_id;
    }
    if (!isClosed) {
      await database.asSystem((transaction) =>
        transaction.query(`SELECT bulkhead.drop_empty_usage_months($1)`, [new Date(now())]),
      );
    }
    return deleted;
  }

  function schedule(delayMs: number): void {
    if (isClosed) return;
    timer = setTimeout(() => {
      running = run()
        .catch((error: unknown) =>
          logger.warn({ event: 'usage_upkeep_failed', err: error }, 'the ledger’s tables are cleaned later'),
        )
        .finally(() => schedule(EVERY_MS));
    }, delayMs).unref();
  }

  return {
    start: () => schedule(FIRST_MS),
    run,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await running;
    },
  };
}
