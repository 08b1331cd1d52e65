import type { Database } from '#app/database/database.ts';
import { firstIdAt, type TenantId } from '#app/ids.ts';
import type { Logger } from '#observability/logger.ts';
import { administrationContext } from '#router/identity/administration-context.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';

export interface RequestLogExpiry {
  /** Deletes what is older than its tenant keeps it, now and every hour. */
  start(): void;
  /** One pass over all tenants; how many rows went. */
  run(): Promise<number>;
  close(): Promise<void>;
}

const FIRST_MS = 60_000;
const EVERY_MS = 3_600_000;
/** Rows of one statement, and of one tenant in one pass: nobody waits long for a table that is cleaned. */
const BATCH = 1_000;
const MAX_BATCHES = 500;
const TENANTS_PER_PAGE = 100;
const DAY_MS = 86_400_000;

export function createRequestLogExpiry(options: {
  database: Database;
  tenants: Pick<TenantStore, 'list'>;
  logger: Logger;
  now: () => number;
  /** Other things that are over, to be deleted at the same times. */
  alongside?: () => Promise<void>;
}): RequestLogExpiry {
  const { database, tenants, logger, now, alongside } = options;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let isClosed = false;

  async function expire(tenantId: TenantId, days: number): Promise<number> {
    const before = firstIdAt('req', now() - days * DAY_MS);
    let deleted = 0;
    for (let batch = 0; batch < MAX_BATCHES && !isClosed; batch++) {
      const rows = await database.asTenant(administrationContext(tenantId), (transaction) =>
        transaction.query(
          `DELETE FROM bulkhead.request_log WHERE tenant_id = $1 AND request_id IN (
             SELECT request_id FROM bulkhead.request_log WHERE tenant_id = $1 AND request_id < $2
              ORDER BY request_id LIMIT $3)
           RETURNING request_id`,
          [tenantId, before, BATCH],
        ),
      );
      deleted += rows.length;
      if (rows.length < BATCH) break;
    }
    return deleted;
  }

  async function run(): Promise<number> {
    let deleted = 0;
    await alongside?.().catch((error: unknown) => {
      logger.warn({ event: 'expiry_failed', err: error }, 'what is over is still kept');
    });
    for (let after: string | undefined; !isClosed; ) {
      const page = await tenants.list({ limit: TENANTS_PER_PAGE, ...(after === undefined ? {} : { after }) });
      for (const { tenant_id, config } of page.data) {
        if (isClosed) break;
        // One tenant whose rows cannot be deleted keeps no other's.
        deleted += await expire(tenant_id, config.request_log.retention_days).catch((error: unknown) => {
          logger.warn({ event: 'request_log_kept', tenant_id, err: error }, 'old requests are still logged');
          return 0;
        });
      }
      if (!page.has_more || page.last_id === null) break;
      after = page.last_id;
    }
    return deleted;
  }

  function schedule(delayMs: number): void {
    if (isClosed) return;
    timer = setTimeout(() => {
      running = run()
        .catch((error: unknown) =>
          logger.warn({ event: 'request_log_kept', err: error }, 'old requests are still logged'),
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
