import type { Database } from '#app/database/database.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { chunkIdSchema } from '#app/ids.ts';
import type { VaultDocument } from '#app/schemas/vault-document.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { finishIndexing, reportProgress } from '#rag/documents/indexing-rows.ts';
import type { DocumentPlace, VaultFiles } from '#rag/files/vault-files.ts';
import type { IndexedChunk, VaultIndex } from '#rag/index/vault-index.ts';
import { type ChunkDraft, chunkDocumentCooperatively } from '#rag/ingest/chunk/chunk-document.ts';
import { embedTexts } from '#rag/ingest/embed-chunks.ts';
import { mapInTurns } from '#rag/ingest/map-in-turns.ts';
import type { DocumentParser } from '#rag/ingest/parse/document-parser.ts';
import { indexedHashOf, searchTextOf, sha256Hex } from '#rag/ingest/search-text.ts';

export type IndexDocumentDependencies = Readonly<{
  database: Database;
  files: VaultFiles;
  index: VaultIndex;
  parser: DocumentParser;
  embedder: Embedder;
  /** Milliseconds, any origin. */
  now(): number;
}>;

export type IndexingResult = { chunks: number; reusedVectors: number };

const PROGRESS_INTERVAL_MS = 500;
/** A chunk id has six digits for the chunk's place. */
const MAX_CHUNKS = 999_999;

/**
 * Takes a document that is marked as `indexing` from its file to the index. Every step can be cut off and done
 * again, because the row says `ready` last:
 *
 * 1. the extracted text is written, in one step: citations open it, and nothing cites this text yet;
 * 2. all chunks replace the earlier ones in one commit, under ids that do not change;
 * 3. the row becomes `ready`; if it was deleted meanwhile, the chunks are taken out again. A deletion marks the row
 *    first, so that one of the two sees the other.
 *
 * Returns undefined when the document was deleted meanwhile.
 */
export async function indexDocument(
  dependencies: IndexDocumentDependencies,
  context: TenantContext,
  document: VaultDocument,
  signal: AbortSignal,
): Promise<IndexingResult | undefined> {
  const { database, files, index, parser, embedder, now } = dependencies;
  const place: DocumentPlace = {
    tenantId: document.tenant_id,
    userId: document.user_id,
    documentId: document.document_id,
  };
  const metadata = await files.readMetadata(place);
  const bytes = await files.readOriginal(place, document.content_hash);
  const label = { filename: document.filename, mediaType: document.media_type };
  const parsed = await parser.parse(bytes, label, { tenantId: context.tenantId, signal });
  signal.throwIfAborted();
  const drafts = await chunkDocumentCooperatively(parsed, embedder.countTokens, {
    tenantId: context.tenantId,
    signal,
  });
  if (drafts.length === 0) throw unreadable('No text was found in the document.');
  if (drafts.length > MAX_CHUNKS) throw unreadable(`The document has more than ${MAX_CHUNKS} passages.`);

  const pages = parsed.pages.map(({ page, text }) => ({ page, text }));
  await files.writeText(place, { content_hash: document.content_hash, pages });

  const title = metadata.title ?? (titleFrom(parsed.title) || document.filename);
  const turns = { tenantId: context.tenantId, signal };
  const texts = await mapInTurns(
    drafts,
    (draft) => searchTextOf(title, draft.heading_path, draft.text),
    turns,
  );
  const hashes = await mapInTurns(texts, sha256Hex, turns);
  let reportedAt = Number.NEGATIVE_INFINITY;
  const { vectors, reused } = await embedTexts({
    embedder,
    tenantId: context.tenantId,
    texts,
    hashes,
    known: await index.findVectors(context, [...new Set(hashes)]),
    signal,
    async onProgress(done) {
      if (now() - reportedAt < PROGRESS_INTERVAL_MS) return;
      reportedAt = now();
      await database.asTenant(context, (transaction) =>
        reportProgress(transaction, document.document_id, done, drafts.length),
      );
    },
  });
  signal.throwIfAborted();

  const chunks = await mapInTurns(
    drafts,
    (draft, i): IndexedChunk => {
      const [searchText, searchTextHash, vector] = [texts[i], hashes[i], vectors[i]];
      if (searchText === undefined || searchTextHash === undefined || vector === undefined) {
        throw new Error('A chunk has no vector.');
      }
      return { chunk: chunkOf(document, title, draft), searchText, searchTextHash, vector };
    },
    turns,
  );
  await index.replaceDocument(context, document.document_id, chunks);
  const pageNumbers = parsed.pages.flatMap(({ page }) => (page === null ? [] : [page]));
  const isThere = await database.asTenant(context, (transaction) =>
    finishIndexing(transaction, document.document_id, {
      indexedHash: indexedHashOf(document.content_hash, embedder.id),
      title,
      chunkCount: chunks.length,
      pageCount: pageNumbers.length === 0 ? null : Math.max(...pageNumbers),
    }),
  );
  if (isThere) return { chunks: chunks.length, reusedVectors: reused };
  await index.removeDocuments(context, [document.document_id]);
  return undefined;
}

function chunkOf(document: VaultDocument, title: string, draft: ChunkDraft): IndexedChunk['chunk'] {
  return {
    chunk_id: chunkIdSchema.parse(`${document.document_id}-${draft.ordinal}`),
    tenant_id: document.tenant_id,
    user_id: document.user_id,
    visibility: document.visibility,
    collection: document.collection,
    document_id: document.document_id,
    title,
    content_hash: document.content_hash,
    ...draft,
  };
}

/** A title out of a file may be anything, and is shown in lists and citations. */
const titleFrom = (title: string | null): string =>
  (title ?? '').replace(/\s+/g, ' ').trim().slice(0, 300).toWellFormed();

const unreadable = (message: string) => new BulkheadError('unreadable_document', message, { param: 'file' });
