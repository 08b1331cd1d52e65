import { tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { backgroundContext } from '#rag/ingest/background-context.ts';
import type { IngestQueue } from '#rag/ingest/ingest-queue.ts';
import { type ReconcileDependencies, reconcileTenant } from '#rag/ingest/reconcile-tenant.ts';

/** The user of contexts that act for a whole tenant. It owns nothing: owners are always read from rows. */
const NOBODY = userIdSchema.parse('system');

/** Reconciles every tenant, one after another, and queues what is left to do. One that fails stops no other. */
export async function reconcileVaults(
  dependencies: ReconcileDependencies & { queue: IngestQueue },
  signal: AbortSignal,
): Promise<void> {
  const { database, queue, logger } = dependencies;
  const rows = await database.asSystem((transaction) =>
    transaction.query<{ tenant_id: string }>('SELECT tenant_id FROM bulkhead.tenants ORDER BY tenant_id'),
  );
  for (const row of rows) {
    signal.throwIfAborted();
    const context = backgroundContext(tenantIdSchema.parse(row.tenant_id), NOBODY);
    try {
      await reconcileTenant(dependencies, context, signal);
    } catch (error) {
      signal.throwIfAborted();
      logger.error(
        { event: 'vault_reconcile_failed', tenant_id: context.tenantId, err: error },
        'a vault could not be reconciled',
      );
    }
    await queue.wake(context);
  }
}
