import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type DocumentId, documentIdSchema } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';
import { existingDocuments, insertDocument } from '#rag/documents/document-rows.ts';
import { listIndexStates, requeueDocuments, startDeleting } from '#rag/documents/indexing-rows.ts';
import type { DocumentPlace, VaultFiles } from '#rag/files/vault-files.ts';
import type { VaultIndex } from '#rag/index/vault-index.ts';
import { staleDocuments } from '#rag/ingest/stale-documents.ts';

export type ReconcileDependencies = Readonly<{
  database: Database;
  files: VaultFiles;
  index: VaultIndex;
  embedderId: string;
  logger: Logger;
}>;

/**
 * Brings files, rows and index of a tenant together, after a crash, a restored backup or a new embedding model:
 *
 * - files without a row get one: an upload was cut off after its file was complete, or the database is older than
 *   the files. They are never those of a deleted document, whose row outlives its files;
 * - rows that say `ready` of what the index does not hold become `pending`;
 * - index entries without a row are removed.
 *
 * Rows without files are left alone: a volume that is not mounted must not cost anybody their index. Runs beside
 * uploads, deletions and indexing.
 */
export async function reconcileTenant(
  { database, files, index, embedderId, logger }: ReconcileDependencies,
  context: TenantContext,
  signal: AbortSignal,
): Promise<void> {
  const readStates = () => database.asTenant(context, listIndexStates);
  const metadataOf = (place: DocumentPlace) =>
    files.readMetadata(place).catch((error: unknown) => {
      if (error instanceof BulkheadError && error.code === 'not_found') return undefined;
      throw error;
    });

  async function adopt(place: DocumentPlace): Promise<boolean> {
    const metadata = await metadataOf(place);
    if (metadata === undefined) return false;
    const isNew = await database.asTenant(context, (transaction) => insertDocument(transaction, metadata));
    if (!isNew) return false;
    if ((await metadataOf(place)) !== undefined) return true;
    // Uploaded and deleted again since the rows were read: the row must not outlive it.
    await database.asTenant(context, (transaction) => startDeleting(transaction, place.documentId, false));
    return false;
  }

  const withRow = new Set((await readStates()).map((state) => state.documentId));
  let adopted = 0;
  for await (const place of files.listPlaces(context.tenantId, { except: withRow })) {
    signal.throwIfAborted();
    if (await adopt(place)) adopted += 1;
  }

  // The index first, and then the rows: what is indexed between the two has a row.
  const indexed = await index.listDocuments(context);
  const states = await readStates();
  signal.throwIfAborted();
  const known = new Set(states.map((state) => state.documentId));
  const orphans = [...indexed.keys()].filter((id) => !known.has(id));
  if (orphans.length > 0) {
    const rows = await database.asTenant(context, (transaction) => existingDocuments(transaction, orphans));
    await index.removeDocuments(context, parseIds(orphans.filter((id) => !rows.has(id))));
  }

  let stale = staleDocuments(states, indexed, embedderId);
  if (stale.length > 0) {
    // What became `ready` since the index was read looks stale as well: look again.
    stale = staleDocuments(states, await index.listDocuments(context), embedderId);
    await database.asTenant(context, (transaction) => requeueDocuments(transaction, stale));
  }
  if (adopted + orphans.length + stale.length > 0) {
    logger.warn(
      {
        event: 'vault_reconciled',
        tenant_id: context.tenantId,
        adopted_files: adopted,
        removed_from_index: orphans.length,
        requeued: stale.length,
      },
      'vault reconciled',
    );
  }
}

const parseIds = (ids: readonly string[]): DocumentId[] => ids.map((id) => documentIdSchema.parse(id));
