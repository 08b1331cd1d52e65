import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';
import { finishDeletion } from '#rag/documents/finish-deletion.ts';
import {
  failIndexing,
  isDeleting,
  startIndexing,
  type UnfinishedDocument,
} from '#rag/documents/indexing-rows.ts';
import { type IndexDocumentDependencies, indexDocument } from '#rag/ingest/index-document.ts';

/** One attempt at what is left to do on a document. Throws when it should be tried again. */
export type ProcessDocument = (
  context: TenantContext,
  unfinished: UnfinishedDocument,
  attempt: { signal: AbortSignal; isLast: boolean },
) => Promise<void>;

/** Indexes a document, or finishes its deletion. What cannot succeed by trying again makes it `failed`. */
export function createProcessDocument(
  dependencies: IndexDocumentDependencies & Readonly<{ logger: Logger }>,
): ProcessDocument {
  const { database, index, logger, now } = dependencies;
  return async (context, unfinished, { signal, isLast }) => {
    const { documentId, userId } = unfinished;
    const fields = { tenant_id: context.tenantId, user_id: userId, document_id: documentId };
    if (await database.asTenant(context, (transaction) => isDeleting(transaction, documentId))) {
      await finishDeletion(dependencies, context, { tenantId: context.tenantId, userId, documentId });
      return;
    }
    const row = await database.asTenant(context, (transaction) => startIndexing(transaction, unfinished));
    if (row === undefined) return;
    const startedAt = now();
    try {
      const result = await indexDocument(dependencies, context, row.document, signal);
      if (result === undefined) return;
      logger.info(
        {
          event: 'document_indexed',
          ...fields,
          chunks: result.chunks,
          reused_vectors: result.reusedVectors,
          latency_ms: Math.round(now() - startedAt),
        },
        'document indexed',
      );
    } catch (error) {
      if (signal.aborted) throw error;
      const failure = failureOf(error, isLast);
      if (failure === undefined) throw error;
      logger.warn({ event: 'document_failed', ...fields, code: failure.code, err: error }, 'document failed');
      // Out of the index first: a document that says `failed` is not found by searches.
      await index.removeDocuments(context, [documentId]);
      await database.asTenant(context, (transaction) => failIndexing(transaction, documentId, failure));
    }
  };
}

/** What the uploader is told, or undefined when another attempt may succeed. */
function failureOf(error: unknown, isLast: boolean): { code: string; message: string } | undefined {
  if (error instanceof BulkheadError && !error.retryable && error.code !== 'internal_error') {
    if (error.code !== 'not_found') return { code: error.code, message: error.message };
    return { code: 'unreadable_document', message: 'The stored file is missing. Upload it again.' };
  }
  return isLast
    ? { code: 'internal_error', message: 'Indexing failed. Upload the document again.' }
    : undefined;
}
