import type { DocumentId } from '#app/ids.ts';
import type { MultiTenantVaultChunk } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { VaultFilter } from '#rag/index/vault-filter.ts';

/** A chunk as it is put into an index. */
export type IndexedChunk = Readonly<{
  chunk: MultiTenantVaultChunk;
  /** What is embedded and searched by words: the chunk's text under its title and headings. */
  searchText: string;
  /** SHA-256 of `searchText`, hex: chunks with the same hash have the same vector. */
  searchTextHash: string;
  /** A unit vector. */
  vector: Float32Array;
}>;

/** A chunk that a search found, best first. `score` orders within one answer only: higher is better. */
export type VaultHit = Readonly<{ chunk: MultiTenantVaultChunk; vector: Float32Array; score: number }>;

/** What to rank by: nearness of vectors, BM25 over words, or both fused. */
export type VaultQuery =
  | Readonly<{ mode: 'dense'; vector: Float32Array }>
  | Readonly<{ mode: 'words'; text: string }>
  | Readonly<{ mode: 'hybrid'; vector: Float32Array; text: string }>;

export type VaultSearch = Readonly<{
  query: VaultQuery;
  /** Most hits to return. `dense` and `hybrid` return exactly min(limit, chunks that fit the filter). */
  limit: number;
  filter?: VaultFilter;
}>;

/** What the index holds of a document. */
export type IndexedDocument = Readonly<{ contentHash: string; chunkCount: number }>;

/**
 * The searchable chunks of tenants: derived from their files, and rebuildable from them. Searches see the chunks
 * of the context's user and those shared with the tenant, and filter before they rank: a filter never costs hits.
 */
export interface VaultIndex {
  /**
   * Makes these the chunks of a document, in one commit: a search sees the earlier ones or these. Throws when a
   * chunk is of another tenant or document.
   */
  replaceDocument(
    context: TenantContext,
    documentId: DocumentId,
    chunks: readonly IndexedChunk[],
  ): Promise<void>;
  /** Any user's documents of the context's tenant. Not an error for those that are not there. */
  removeDocuments(context: TenantContext, documentIds: readonly DocumentId[]): Promise<void>;
  search(context: TenantContext, search: VaultSearch, signal: AbortSignal): Promise<VaultHit[]>;
  /** Chunks that the context's user can find. */
  count(context: TenantContext, filter?: VaultFilter): Promise<number>;
  /** Vectors already computed for the context's user's own chunks, by `searchTextHash`. */
  findVectors(
    context: TenantContext,
    searchTextHashes: readonly string[],
  ): Promise<ReadonlyMap<string, Float32Array>>;
  /** Everything that the index holds of the context's tenant, of all users: to compare with the documents. */
  listDocuments(context: TenantContext): Promise<ReadonlyMap<string, IndexedDocument>>;
  /** Compacts what many writes left, and erases what was removed from disk. It happens by itself as well. */
  optimize(context: TenantContext): Promise<void>;
  /** Removes everything of the context's tenant. */
  clear(context: TenantContext): Promise<void>;
  /** Removes everything of the context's tenant, and all that ever was: nothing of it is left on disk. */
  erase(context: TenantContext): Promise<void>;
  /** Waits for writes under way. */
  close(): Promise<void>;
}
