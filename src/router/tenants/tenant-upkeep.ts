import type { Database } from '#app/database/database.ts';
import type { TenantId } from '#app/ids.ts';
import type { Tenant } from '#app/schemas/tenant.ts';
import { administrationContext } from '#router/identity/administration-context.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';

export interface TenantUpkeep {
  /** Runs a first time soon, and then every hour. */
  start(): void;
  /** One pass over all tenants; how many rows went. */
  run(): Promise<number>;
  /** Resolves when a pass under way has stopped. */
  close(): Promise<void>;
}

const EVERY_MS = 3_600_000;
const TENANTS_PER_PAGE = 100;
/** Rows of one statement, and statements of one tenant in one pass: nobody waits long for a table that is cleaned. */
const BATCH = 1_000;
const MAX_BATCHES = 500;

/** Work on every tenant's rows, one tenant after the other, every hour. */
export function createTenantUpkeep(options: {
  tenants: Pick<TenantStore, 'list'>;
  /** Milliseconds from `start` until the first pass. */
  firstMs: number;
  /** Before and after all tenants. Where one throws, the pass ends. */
  before?(): Promise<void>;
  after?(): Promise<void>;
  /** How many rows of the tenant went. `isClosed` tells that it should stop. */
  tend(tenant: Tenant, isClosed: () => boolean): Promise<number>;
  /** Told of a tenant whose rows could not be tended, or of a pass that ended early (null); it is tried again in an hour. */
  onError(error: unknown, tenantId: TenantId | null): void;
}): TenantUpkeep {
  const { tenants, firstMs, before, after, tend, onError } = options;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<unknown> = Promise.resolve();
  let isClosed = false;

  async function run(): Promise<number> {
    await before?.();
    let gone = 0;
    for (let last: string | undefined; !isClosed; ) {
      const page = await tenants.list({
        limit: TENANTS_PER_PAGE,
        ...(last === undefined ? {} : { after: last }),
      });
      for (const tenant of page.data) {
        if (isClosed) break;
        // One tenant whose rows cannot be deleted keeps no other's.
        gone += await tend(tenant, () => isClosed).catch((error: unknown) => {
          onError(error, tenant.tenant_id);
          return 0;
        });
      }
      if (!page.has_more || page.last_id === null) break;
      last = page.last_id;
    }
    if (!isClosed) await after?.();
    return gone;
  }

  function schedule(delayMs: number): void {
    if (isClosed) return;
    timer = setTimeout(() => {
      running = run()
        .catch((error: unknown) => onError(error, null))
        .finally(() => schedule(EVERY_MS));
    }, delayMs).unref();
  }

  return {
    start: () => schedule(firstMs),
    run,
    async close() {
      isClosed = true;
      clearTimeout(timer);
      await running;
    },
  };
}

/**
 * Deletes a tenant's rows a batch at a time: `sql` takes the tenant as $1, `before` as $2, at most $3 rows, and returns a
 * row for each. `isDone` is false where there may be more.
 */
export async function deleteInBatches(options: {
  database: Database;
  tenantId: TenantId;
  sql: string;
  before: unknown;
  isClosed: () => boolean;
}): Promise<{ deleted: number; isDone: boolean }> {
  const { database, tenantId, sql, before, isClosed } = options;
  let deleted = 0;
  for (let batch = 0; batch < MAX_BATCHES && !isClosed(); batch++) {
    const rows = await database.asTenant(administrationContext(tenantId), (transaction) =>
      transaction.query(sql, [tenantId, before, BATCH]),
    );
    deleted += rows.length;
    if (rows.length < BATCH) return { deleted, isDone: true };
  }
  return { deleted, isDone: false };
}
