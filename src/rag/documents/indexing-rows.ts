import type { Transaction } from '#app/database/database.ts';
import { type DocumentId, documentIdSchema, type UserId, userIdSchema } from '#app/ids.ts';
import { type DocumentRow, findDocument } from '#rag/documents/document-rows.ts';
import { LANES, type Lane } from '#rag/ingest/lanes.ts';

/** A document on which something is left to do: to index it, or to finish removing it. */
export type UnfinishedDocument = { documentId: DocumentId; userId: UserId };

/** Which unfinished documents are wanted of a lane. */
export type WantedDocuments = Readonly<{ lane: Lane; order: 'smallest' | 'oldest'; count: number }>;

/** An expression of the indexes `documents_by_lane` and `documents_by_lane_and_age`. */
const LANE = `CASE WHEN status = 'deleting' OR byte_size <= ${LANES[0]?.maxBytes} THEN 0 WHEN byte_size <= ${LANES[1]?.maxBytes} THEN 1 WHEN byte_size <= ${LANES[2]?.maxBytes} THEN 2 ELSE 3 END`;
const ORDER = { smallest: 'byte_size, created_at', oldest: 'created_at' };

/** Unfinished documents of the transaction's tenant, other than those named, in the order wanted. */
export async function listUnfinished(
  transaction: Transaction,
  wanted: readonly WantedDocuments[],
  except: readonly DocumentId[],
): Promise<(UnfinishedDocument & { lane: Lane })[]> {
  if (wanted.length === 0) return [];
  const parts = wanted.map(
    ({ lane, order }, i) => `(SELECT ${lane.index} AS lane, document_id, user_id FROM bulkhead.documents
      WHERE status IN ('pending', 'indexing', 'deleting') AND ${LANE} = ${lane.index} AND document_id <> ALL($1::text[])
      ORDER BY ${ORDER[order]}, document_id LIMIT $${i + 2})`,
  );
  const rows = await transaction.query(parts.join(' UNION ALL '), [
    [...except],
    ...wanted.map(({ count }) => count),
  ]);
  return rows.map((row) => ({
    documentId: documentIdSchema.parse(row.document_id),
    userId: userIdSchema.parse(row.user_id),
    lane: laneOf(row.lane),
  }));
}

function laneOf(index: unknown): Lane {
  const lane = LANES.find((each) => each.index === index);
  if (lane === undefined) throw new Error('A document has no lane.');
  return lane;
}

/** What each document of the tenant is at, to compare with files and index. */
export async function listIndexStates(transaction: Transaction): Promise<
  {
    documentId: string;
    status: string;
    indexedHash: string | null;
    contentHash: string;
    chunkCount: number;
  }[]
> {
  const rows = await transaction.query<{
    document_id: string;
    status: string;
    indexed_hash: string | null;
    content_hash: string;
    chunk_count: number;
  }>('SELECT document_id, status, indexed_hash, content_hash, chunk_count FROM bulkhead.documents');
  return rows.map((row) => ({
    documentId: row.document_id,
    status: row.status,
    indexedHash: row.indexed_hash,
    contentHash: row.content_hash,
    chunkCount: row.chunk_count,
  }));
}

/** Says of these finished documents that they are to be indexed again. Returns how many there were. */
export async function requeueDocuments(
  transaction: Transaction,
  documentIds: readonly string[],
): Promise<number> {
  const rows = await transaction.query(
    `UPDATE bulkhead.documents SET status = 'pending', error_code = NULL, error_message = NULL, updated_at = now()
     WHERE document_id = ANY($1::text[]) AND status IN ('ready', 'failed') RETURNING document_id`,
    [[...documentIds]],
  );
  return rows.length;
}

/** Takes a document on; undefined when it is gone, being deleted, or finished. */
export async function startIndexing(
  transaction: Transaction,
  { documentId, userId }: UnfinishedDocument,
): Promise<DocumentRow | undefined> {
  const started = await transaction.query(
    `UPDATE bulkhead.documents
     SET status = 'indexing', progress_done = NULL, progress_total = NULL, updated_at = now()
     WHERE document_id = $1 AND user_id = $2 AND status IN ('pending', 'indexing') RETURNING document_id`,
    [documentId, userId],
  );
  return started.length === 0 ? undefined : findDocument(transaction, documentId);
}

export async function reportProgress(
  transaction: Transaction,
  documentId: DocumentId,
  done: number,
  total: number,
): Promise<void> {
  await transaction.query(
    `UPDATE bulkhead.documents SET progress_done = $2, progress_total = $3, updated_at = now()
     WHERE document_id = $1 AND status = 'indexing'`,
    [documentId, done, total],
  );
}

/** False when the document was deleted meanwhile: whoever indexed it must take it out again. */
export async function finishIndexing(
  transaction: Transaction,
  documentId: DocumentId,
  result: { indexedHash: string; title: string; chunkCount: number; pageCount: number | null },
): Promise<boolean> {
  const rows = await transaction.query(
    `UPDATE bulkhead.documents
     SET status = 'ready', indexed_hash = $2, title = $3, chunk_count = $4, page_count = $5,
       progress_done = NULL, progress_total = NULL, error_code = NULL, error_message = NULL, updated_at = now()
     WHERE document_id = $1 AND status = 'indexing' RETURNING document_id`,
    [documentId, result.indexedHash, result.title, result.chunkCount, result.pageCount],
  );
  return rows.length > 0;
}

export async function failIndexing(
  transaction: Transaction,
  documentId: DocumentId,
  error: { code: string; message: string },
): Promise<void> {
  await transaction.query(
    `UPDATE bulkhead.documents
     SET status = 'failed', indexed_hash = NULL, chunk_count = 0, error_code = $2, error_message = $3,
       progress_done = NULL, progress_total = NULL, updated_at = now()
     WHERE document_id = $1 AND status = 'indexing'`,
    [documentId, error.code, error.message],
  );
}

/** From here on nobody sees the document. Returns its owner; undefined when there is none to delete. */
export async function startDeleting(
  transaction: Transaction,
  documentId: DocumentId,
  onlyShared: boolean,
): Promise<UserId | undefined> {
  const [row] = await transaction.query(
    `UPDATE bulkhead.documents SET status = 'deleting', updated_at = now()
     WHERE document_id = $1 AND status <> 'deleting' AND (visibility = 'tenant' OR NOT $2::boolean)
     RETURNING user_id`,
    [documentId, onlyShared],
  );
  return row === undefined ? undefined : userIdSchema.parse(row.user_id);
}

export async function isDeleting(transaction: Transaction, documentId: DocumentId): Promise<boolean> {
  const rows = await transaction.query(
    `SELECT 1 FROM bulkhead.documents WHERE document_id = $1 AND status = 'deleting'`,
    [documentId],
  );
  return rows.length > 0;
}

/** The last step of a deletion, when files and index entries are gone. */
export async function deleteRow(transaction: Transaction, documentId: DocumentId): Promise<void> {
  await transaction.query(`DELETE FROM bulkhead.documents WHERE document_id = $1 AND status = 'deleting'`, [
    documentId,
  ]);
}
