import type { Database } from '#app/database/database.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { deleteRow } from '#rag/documents/indexing-rows.ts';
import type { DocumentPlace, VaultFiles } from '#rag/files/vault-files.ts';
import type { VaultIndex } from '#rag/index/vault-index.ts';

/**
 * Removes what is left of a document whose row says `deleting`. The row goes last: cut off anywhere, the next
 * attempt finds it and goes on, and files without a row are never those of a deleted document.
 */
export async function finishDeletion(
  { database, files, index }: { database: Database; files: VaultFiles; index: VaultIndex },
  context: TenantContext,
  place: DocumentPlace,
): Promise<void> {
  await index.removeDocuments(context, [place.documentId]);
  await files.remove(place);
  await database.asTenant(context, (transaction) => deleteRow(transaction, place.documentId));
}
