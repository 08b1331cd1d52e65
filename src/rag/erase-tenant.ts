import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { VaultFiles } from '#rag/files/vault-files.ts';
import type { VaultIndex } from '#rag/index/vault-index.ts';
import type { IngestQueue } from '#rag/ingest/ingest-queue.ts';

/**
 * Removes files, index and jobs of a tenant; its rows are the router's to remove. Only a tenant whose erasure an
 * operator has begun, as the database says: a token of the tenant's own admin proves nothing of the kind. Again and
 * again, it does no harm.
 */
export function createEraseTenant(dependencies: {
  database: Database;
  files: VaultFiles;
  index: VaultIndex;
  queue: IngestQueue;
}): (context: TenantContext) => Promise<void> {
  const { database, files, index, queue } = dependencies;
  return async (context) => {
    const begun = await database.asSystem(
      (transaction) =>
        transaction.query('SELECT 1 FROM bulkhead.tenant_erasures WHERE tenant_id = $1', [context.tenantId]),
      context.tenantId,
    );
    if (begun.length === 0) {
      throw new BulkheadError('conflict', 'No operator has asked for this tenant to be erased.');
    }
    // Writers first, or they would bring back what is removed.
    await queue.dropTenant(context);
    await index.erase(context);
    await files.removeTenant(context.tenantId);
  };
}
