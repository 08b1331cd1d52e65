import type { Transaction } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { type TenantStorage, tenantStorageSchema } from '#app/schemas/tenant-storage.ts';

/** What tenants may store of which the policy says nothing. */
export type StorageDefaults = Readonly<{ maxBytes: number; maxDocuments: number }>;

/** What the transaction's tenant stores and may store, with what the transaction itself has added. */
export async function readTenantStorage(
  transaction: Transaction,
  { maxBytes, maxDocuments }: StorageDefaults,
): Promise<TenantStorage> {
  const [row] = await transaction.query(
    `SELECT coalesce(s.documents, 0)::float8 AS documents, coalesce(s.bytes, 0)::float8 AS bytes,
            coalesce(t.max_documents::float8, $2::float8) AS max_documents,
            coalesce(t.max_stored_bytes::float8, $1::float8) AS max_bytes
       FROM bulkhead.tenants t LEFT JOIN bulkhead.storage_used s USING (tenant_id)
      WHERE t.tenant_id = bulkhead.current_tenant()`,
    [maxBytes, maxDocuments],
  );
  // Erased meanwhile.
  if (row === undefined) throw notFound('tenant');
  return tenantStorageSchema.parse(row);
}

/**
 * Throws `storage_exceeded` where a tenant would store more than it may with a document that the transaction has just added. The
 * transaction has the lock on the tenant's sum by then: nobody else adds anything before it ends.
 */
export async function refuseOverStorage(
  transaction: Transaction,
  defaults: StorageDefaults,
  added: Readonly<{ bytes: number }>,
): Promise<void> {
  const { documents, bytes, max_documents, max_bytes } = await readTenantStorage(transaction, defaults);
  if (documents > max_documents) {
    throw new BulkheadError(
      'storage_exceeded',
      `The tenant may store ${max_documents} documents, and has ${documents - 1}. Delete some, or ask the operator for more.`,
      { refusal: { policy: 'storage.max_documents', limit: max_documents, current: documents - 1 } },
    );
  }
  if (bytes > max_bytes) {
    const before = bytes - added.bytes;
    throw new BulkheadError(
      'storage_exceeded',
      `The tenant may store ${max_bytes} bytes and has ${before}: a file of ${added.bytes} is too much. Delete some documents, or ask the operator for more.`,
      { refusal: { policy: 'storage.max_bytes', limit: max_bytes, current: before } },
    );
  }
}
