import type { Database } from '#app/database/database.ts';
import type { TenantId, UserId } from '#app/ids.ts';
import type { Logger } from '#observability/logger.ts';
import { keptSince } from '#router/responses/kept/kept-since.ts';
import type { ResponseBounds } from '#router/responses/kept/response-bounds.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';
import { createTenantUpkeep, deleteInBatches, type TenantUpkeep } from '#router/tenants/tenant-upkeep.ts';

const FIRST_MS = 90_000;

const DELETE_OLD = `
  DELETE FROM bulkhead.responses WHERE tenant_id = $1 AND response_id IN (
    SELECT response_id FROM bulkhead.responses WHERE tenant_id = $1 AND response_id < $2
     ORDER BY response_id LIMIT $3)
  RETURNING response_id`;

/** Of users who are members no more, where one answered while they were removed. */
const DELETE_LEFT = `
  DELETE FROM bulkhead.responses WHERE tenant_id = $1 AND response_id IN (
    SELECT response_id FROM bulkhead.responses JOIN bulkhead.members USING (tenant_id, user_id)
     WHERE tenant_id = $1 AND status = $2 LIMIT $3)
  RETURNING response_id`;

const DELETE_OF_USER = `
  DELETE FROM bulkhead.responses WHERE tenant_id = $1 AND response_id IN (
    SELECT response_id FROM bulkhead.responses WHERE tenant_id = $1 AND user_id = $2 LIMIT $3)
  RETURNING response_id`;

/** Deletes the responses that a tenant does not keep any more: too old, too many, of users who left, or all of them. */
export function createResponseExpiry(options: {
  database: Database;
  tenants: Pick<TenantStore, 'list'>;
  bounds: Pick<ResponseBounds, 'enforce'>;
  logger: Logger;
  now: () => number;
}): TenantUpkeep {
  const { database, tenants, bounds, logger, now } = options;
  return createTenantUpkeep({
    tenants,
    firstMs: FIRST_MS,
    async tend({ tenant_id: tenantId, config }, isClosed) {
      const remove = async (sql: string, before: string) =>
        (await deleteInBatches({ database, tenantId, sql, before, isClosed })).deleted;
      const old = await remove(DELETE_OLD, keptSince(config, now()));
      const left = await remove(DELETE_LEFT, 'removed');
      if (isClosed()) return old + left;
      return old + left + (await bounds.enforce(tenantId, config.storage.max_response_bytes));
    },
    onError(error, tenant_id) {
      const tenant = tenant_id === null ? {} : { tenant_id };
      logger.warn({ event: 'responses_kept', ...tenant, err: error }, 'old responses are still kept');
    },
  });
}

/** Deletes all that one user keeps. */
export async function forgetResponsesOf(
  database: Database,
  tenantId: TenantId,
  userId: UserId,
): Promise<void> {
  await deleteInBatches({
    database,
    tenantId,
    sql: DELETE_OF_USER,
    before: userId,
    isClosed: () => false,
  });
}
