import { z } from 'zod';
import type { Row, Transaction } from '#app/database/database.ts';
import type { DocumentId } from '#app/ids.ts';
import {
  type DocumentListRequest,
  documentStatusSchema,
  type VaultDocument,
  vaultDocumentSchema,
} from '#app/schemas/vault-document.ts';
import type { VaultSummary } from '#app/schemas/vault-summary.ts';
import type { DocumentMetadata } from '#rag/files/vault-files.ts';

/** A document's row: what its users see, and what the index was last made from. */
export type DocumentRow = { document: VaultDocument; indexedHash: string | null };

/** `float8` because a bigint arrives as text from one driver and as a number from the other. */
const COLUMNS = `tenant_id, document_id, user_id, visibility, collection, title, filename, media_type,
  byte_size::float8 AS byte_size, content_hash, indexed_hash, status, progress_done, progress_total,
  error_code, error_message, chunk_count, page_count, created_at, updated_at`;

const time = z.date().transform((date) => date.toISOString());

const rowSchema = z
  .object({
    ...vaultDocumentSchema.omit({ progress: true, error: true }).shape,
    created_at: time,
    updated_at: time,
    indexed_hash: z.string().nullable(),
    progress_done: z.int().nullable(),
    progress_total: z.int().nullable(),
    error_code: z.string().nullable(),
    error_message: z.string().nullable(),
  })
  .transform((row): DocumentRow => {
    const { indexed_hash, progress_done, progress_total, error_code, error_message, ...rest } = row;
    const isIndexing = rest.status === 'indexing' && progress_done !== null && progress_total !== null;
    return {
      indexedHash: indexed_hash,
      document: {
        ...rest,
        progress: isIndexing ? { done: progress_done, total: progress_total } : null,
        error: error_code === null ? null : { code: error_code, message: error_message ?? '' },
      },
    };
  });

const parseRow = (row: Row): DocumentRow => rowSchema.parse(row);

/** The transaction's role decides whose documents these are; one that is being deleted is nobody's. */
export async function findDocument(
  transaction: Transaction,
  documentId: DocumentId,
): Promise<DocumentRow | undefined> {
  const [row] = await transaction.query(
    `SELECT ${COLUMNS} FROM bulkhead.documents WHERE document_id = $1 AND status <> 'deleting'`,
    [documentId],
  );
  return row === undefined ? undefined : parseRow(row);
}

/** Newest first; one more than the page's limit, so that the caller sees whether there are more. */
export async function listDocuments(
  transaction: Transaction,
  { limit, after, collection }: DocumentListRequest,
): Promise<VaultDocument[]> {
  const rows = await transaction.query(
    `SELECT ${COLUMNS} FROM bulkhead.documents
     WHERE status <> 'deleting' AND ($1::text IS NULL OR document_id < $1) AND ($3::text IS NULL OR collection = $3)
     ORDER BY document_id DESC LIMIT $2`,
    [after ?? null, limit + 1, collection ?? null],
  );
  return rows.map((row) => parseRow(row).document);
}

const countSchema = z.object({ status: documentStatusSchema, documents: z.int(), bytes: z.number() });

/** How many documents this transaction sees, and how large their files are. */
export async function summariseDocuments(transaction: Transaction): Promise<Omit<VaultSummary, 'storage'>> {
  const rows = await transaction.query(
    `SELECT status, count(*)::int AS documents, sum(byte_size)::float8 AS bytes
     FROM bulkhead.documents WHERE status <> 'deleting' GROUP BY status`,
  );
  const summary: Omit<VaultSummary, 'storage'> = {
    documents: { pending: 0, indexing: 0, ready: 0, failed: 0 },
    bytes: 0,
  };
  for (const { status, documents, bytes } of rows.map((row) => countSchema.parse(row))) {
    summary.documents[status] = documents;
    summary.bytes += bytes;
  }
  return summary;
}

/** Which of these documents exist and are visible in this transaction, and the names of their files. */
export async function existingDocuments(
  transaction: Transaction,
  documentIds: readonly string[],
): Promise<Map<string, string>> {
  const rows = await transaction.query<{ document_id: string; filename: string }>(
    `SELECT document_id, filename FROM bulkhead.documents WHERE document_id = ANY($1::text[]) AND status <> 'deleting'`,
    [[...documentIds]],
  );
  return new Map(rows.map(({ document_id, filename }) => [document_id, filename]));
}

/** Adds the row of a document whose files are in place. False when it is there already, which is kept. */
export async function insertDocument(transaction: Transaction, metadata: DocumentMetadata): Promise<boolean> {
  const added = await transaction.query(
    `INSERT INTO bulkhead.documents (tenant_id, document_id, user_id, visibility, title, filename, media_type,
       byte_size, content_hash, status, created_at, collection)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'pending', $10, $11)
     ON CONFLICT (tenant_id, document_id) DO NOTHING RETURNING document_id`,
    [
      metadata.tenant_id,
      metadata.document_id,
      metadata.user_id,
      metadata.visibility,
      metadata.title ?? metadata.filename,
      metadata.filename,
      metadata.media_type,
      metadata.byte_size,
      metadata.content_hash,
      metadata.created_at,
      metadata.collection,
    ],
  );
  return added.length > 0;
}

/**
 * The document that an equal upload made before: same owner, name, title, visibility, collection and bytes. Uploads of one
 * user take turns here, so that two equal ones at once make one document.
 */
export async function findEqualDocument(
  transaction: Transaction,
  metadata: DocumentMetadata,
): Promise<DocumentRow | undefined> {
  await transaction.query('SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', [
    JSON.stringify(['upload', metadata.tenant_id, metadata.user_id]),
  ]);
  // A title that the uploader did not give may have become the document's own since.
  const [row] = await transaction.query(
    `SELECT ${COLUMNS} FROM bulkhead.documents
     WHERE user_id = $1 AND content_hash = $2 AND filename = $3 AND media_type = $4 AND visibility = $5
       AND collection = $7
       AND ($6::text IS NULL OR title = $6) AND status <> 'deleting'
     ORDER BY document_id LIMIT 1`,
    [
      metadata.user_id,
      metadata.content_hash,
      metadata.filename,
      metadata.media_type,
      metadata.visibility,
      metadata.title,
      metadata.collection,
    ],
  );
  return row === undefined ? undefined : parseRow(row);
}
