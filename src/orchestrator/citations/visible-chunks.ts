import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { Citation, RetrievedChunk } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';

const isVisible = ({ tenantId, userId, collections }: TenantContext, chunk: RetrievedChunk): boolean =>
  chunk.tenant_id === tenantId &&
  (chunk.user_id === userId || chunk.visibility === 'tenant') &&
  (collections?.includes(chunk.collection) ?? true);

/**
 * The last layer of isolation: throws unless every chunk is of the context's tenant, visible to its user and within the
 * collections of its credential. One foreign chunk discards all of them: whatever let it through may have let more through.
 */
export function assertVisible(
  context: TenantContext,
  chunks: readonly RetrievedChunk[],
  logger: Logger,
): void {
  const foreign = chunks.filter((chunk) => !isVisible(context, chunk));
  if (foreign.length === 0) return;
  logger.error(
    {
      event: 'isolation_alarm',
      tenant_id: context.tenantId,
      user_id: context.userId,
      request_id: context.requestId,
      chunk_ids: foreign.map(({ chunk_id }) => chunk_id),
    },
    'retrieval returned passages that the caller may not see; all of them were discarded',
  );
  throw new BulkheadError('internal_error', 'Something failed inside. It was logged under the request id.');
}

/** Chunks as numbered citations, from 1, without the fields that say whose they are. */
export const toCitations = (chunks: readonly RetrievedChunk[]): Citation[] =>
  chunks.map((chunk, place) => ({
    index: place + 1,
    chunk_id: chunk.chunk_id,
    document_id: chunk.document_id,
    title: chunk.title,
    heading_path: chunk.heading_path,
    page: chunk.page,
    start_offset: chunk.start_offset,
    end_offset: chunk.end_offset,
    text: chunk.text,
    score: chunk.score,
  }));
