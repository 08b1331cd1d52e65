import type { Database } from '#app/database/database.ts';
import { notFound } from '#app/errors/bulkhead-error.ts';
import { type TenantId, tenantIdSchema } from '#app/ids.ts';
import { appendEvents, PLATFORM_ACTOR } from '#router/audit/append-events.ts';
import { OPERATORS_CHAIN } from '#router/audit/hash-event.ts';

/** From here on the tenant exists for nobody. Throws `not_found` for one that is erased, or never was. */
export async function beginErasure(database: Database, tenantId: TenantId, author: string): Promise<void> {
  await database.asSystem(async (transaction) => {
    const [tenant] = await transaction.query(
      'SELECT 1 FROM bulkhead.tenants WHERE tenant_id = $1 FOR UPDATE',
      [tenantId],
    );
    const begun = await transaction.query(
      'SELECT finished_at IS NULL AS unfinished FROM bulkhead.tenant_erasures WHERE tenant_id = $1',
      [tenantId],
    );
    if (begun[0]?.unfinished === true) return;
    if (tenant === undefined) throw notFound('tenant');
    await transaction.query(
      'INSERT INTO bulkhead.tenant_erasures (tenant_id, requested_by) VALUES ($1, $2)',
      [tenantId, author],
    );
    await appendEvents(transaction, OPERATORS_CHAIN, [
      {
        actor: author,
        tenantId,
        action: 'tenant.erasure_started',
        target: tenantId,
        outcome: 'done',
        details: {},
      },
    ]);
  }, tenantId);
}

/**
 * Removes the tenant's row, and with it every row that refers to it. The operators' chain keeps how long the tenant's
 * own was and its last hash: a copy of it can still be checked.
 */
export async function removeRows(database: Database, tenantId: TenantId): Promise<void> {
  await database.asSystem(async (transaction) => {
    // The tenant before its chain, in the order of everybody else.
    await transaction.query('SELECT 1 FROM bulkhead.tenants WHERE tenant_id = $1 FOR UPDATE', [tenantId]);
    const [chain] = await transaction.query(
      'SELECT seq::float8 AS seq, hash FROM bulkhead.audit_chains WHERE chain = $1 FOR UPDATE',
      [tenantId],
    );
    const removed = await transaction.query(
      'DELETE FROM bulkhead.tenants WHERE tenant_id = $1 RETURNING tenant_id',
      [tenantId],
    );
    if (removed.length === 0) return;
    await appendEvents(transaction, OPERATORS_CHAIN, [
      {
        actor: PLATFORM_ACTOR,
        tenantId,
        action: 'tenant.erased',
        target: tenantId,
        outcome: 'done',
        details: { audit_events: Number(chain?.seq ?? 0), audit_head: String(chain?.hash ?? '') },
      },
    ]);
  }, tenantId);
}

export async function finishErasure(database: Database, tenantId: TenantId): Promise<void> {
  await database.asSystem(
    (transaction) =>
      transaction.query('UPDATE bulkhead.tenant_erasures SET finished_at = now() WHERE tenant_id = $1', [
        tenantId,
      ]),
    tenantId,
  );
}

/** What earlier processes, or other routers, have begun. */
export async function listUnfinishedErasures(database: Database): Promise<TenantId[]> {
  const rows = await database.asSystem((transaction) =>
    transaction.query(
      'SELECT tenant_id FROM bulkhead.tenant_erasures WHERE finished_at IS NULL ORDER BY tenant_id',
    ),
  );
  return rows.map((row) => tenantIdSchema.parse(row.tenant_id));
}
