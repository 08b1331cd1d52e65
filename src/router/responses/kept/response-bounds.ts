import type { Database } from '#app/database/database.ts';
import type { TenantId } from '#app/ids.ts';
import { RecentMap } from '#app/recent-map.ts';
import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import type { Logger } from '#observability/logger.ts';
import { administrationContext } from '#router/identity/administration-context.ts';

/** What of a tenant's responses is too much goes, soon after it is. */
export interface ResponseBounds {
  /** More is kept: where it may be too much, it is looked at in the background. */
  note(tenantId: TenantId, config: TenantConfig, bytes: number): void;
  /** Deletes what is too much now; how many went. */
  enforce(tenantId: TenantId, maxBytes: number): Promise<number>;
  /** Resolves when nothing is under way. */
  close(): Promise<void>;
}

/** Looked at once this part of what a tenant may keep has come since: so much more may there be, for each router. */
const PART = 16;
const MAX_TENANTS = 10_000;
const BATCH = 500;

/** Of one user, oldest first, what goes beyond so many bytes. */
const DELETE = `
  DELETE FROM bulkhead.responses WHERE tenant_id = $1 AND response_id IN (
    SELECT response_id FROM (
      SELECT response_id, sum(byte_size) OVER (ORDER BY response_id DESC) AS kept
        FROM bulkhead.responses WHERE tenant_id = $1 AND user_id = $2) AS measured
     WHERE kept > $3 ORDER BY response_id LIMIT $4)
  RETURNING response_id`;

/**
 * Bounds what each tenant keeps, in bytes. The oldest go first, of those users who keep most: a user who fills the tenant's
 * place takes nothing from one who keeps little.
 */
export function createResponseBounds({
  database,
  logger,
}: {
  database: Database;
  logger: Logger;
}): ResponseBounds {
  /** Bytes that have come since a tenant was looked at. */
  const added = new RecentMap<TenantId, number>(MAX_TENANTS);
  const underWay = new Map<TenantId, Promise<unknown>>();
  let isClosed = false;

  async function enforce(tenantId: TenantId, maxBytes: number): Promise<number> {
    const context = administrationContext(tenantId);
    const users = await database.asTenant(context, (transaction) =>
      transaction.query(
        `SELECT user_id, sum(byte_size)::float8 AS bytes FROM bulkhead.responses
          WHERE tenant_id = $1 GROUP BY user_id`,
        [tenantId],
      ),
    );
    const share = fairShare(
      users.map(({ bytes }) => Number(bytes)),
      maxBytes,
    );
    let gone = 0;
    for (const { user_id, bytes } of users) {
      if (Number(bytes) <= share) continue;
      for (let deleted = BATCH; deleted === BATCH && !isClosed; gone += deleted) {
        const rows = await database.asTenant(context, (transaction) =>
          transaction.query(DELETE, [tenantId, user_id, Math.floor(share), BATCH]),
        );
        deleted = rows.length;
      }
    }
    return gone;
  }

  return {
    enforce,
    note(tenantId, { storage }, bytes) {
      const maxBytes = storage.max_response_bytes;
      // A process that has only begun does not know what is there.
      const since = (added.get(tenantId) ?? Number.POSITIVE_INFINITY) + bytes;
      added.set(tenantId, since);
      if (since <= maxBytes / PART || isClosed || underWay.has(tenantId)) return;
      added.set(tenantId, 0);
      const work = enforce(tenantId, maxBytes)
        .catch((error: unknown) => {
          logger.warn(
            { event: 'responses_unbounded', tenant_id: tenantId, err: error },
            'what is kept too much is deleted later',
          );
        })
        .finally(() => underWay.delete(tenantId));
      underWay.set(tenantId, work);
    },
    async close() {
      isClosed = true;
      await Promise.allSettled(underWay.values());
    },
  };
}

/** The most that each may keep, so that together it is no more than `whole`: those who keep less keep it all. */
export function fairShare(kept: readonly number[], whole: number): number {
  if (kept.reduce((sum, bytes) => sum + bytes, 0) <= whole) return Number.POSITIVE_INFINITY;
  let left = whole;
  for (const [index, bytes] of [...kept].sort((a, b) => a - b).entries()) {
    const share = left / (kept.length - index);
    if (bytes > share) return share;
    left -= bytes;
  }
  return whole;
}
