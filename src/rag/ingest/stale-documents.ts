import type { IndexedDocument } from '#rag/index/vault-index.ts';
import { indexedHashOf } from '#rag/ingest/search-text.ts';

/** What the database says of a document. */
export type IndexState = Readonly<{
  documentId: string;
  status: string;
  indexedHash: string | null;
  contentHash: string;
  chunkCount: number;
}>;

/**
 * The finished documents that the index does not hold as it should: other content, another embedding model or
 * ingest version, chunks missing. Everything else is left alone: that is what makes indexing incremental.
 */
export function staleDocuments(
  states: readonly IndexState[],
  indexed: ReadonlyMap<string, IndexedDocument>,
  embedderId: string,
): string[] {
  return states
    .filter((state) => {
      if (state.status !== 'ready') return false;
      const held = indexed.get(state.documentId);
      return (
        state.indexedHash !== indexedHashOf(state.contentHash, embedderId) ||
        held?.contentHash !== state.contentHash ||
        held.chunkCount !== state.chunkCount
      );
    })
    .map((state) => state.documentId);
}
