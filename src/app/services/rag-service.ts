import type { Readable } from 'node:stream';
import type { DocumentId } from '#app/ids.ts';
import type { EmbedRequest, EmbedResult } from '#app/schemas/embedding.ts';
import type { Page } from '#app/schemas/page.ts';
import type {
  DocumentListRequest,
  DocumentUpload,
  RetrieveRequest,
  RetrieveResult,
  VaultDocument,
} from '#app/schemas/vault-document.ts';
import type { VaultSummary } from '#app/schemas/vault-summary.ts';
import type { TenantContext } from '#app/tenant-context.ts';

/** A document's original bytes, as they were uploaded. */
export type DocumentContent = { document: VaultDocument; body: Readable };

/** The extracted text that citation offsets point into; one entry a page, or one entry where there are none. */
export type DocumentText = {
  document: VaultDocument;
  pages: readonly { page: number | null; text: string }[];
};

/**
 * The RAG service as its callers see it: in process, or over HTTP. Everything is of the context's tenant and
 * visible to its user; ids of others throw `not_found`, exactly as ids of nobody.
 */
export interface RagService {
  retrieveForTenant(
    context: TenantContext,
    request: RetrieveRequest,
    signal: AbortSignal,
  ): Promise<RetrieveResult>;
  /** Stores the file, then queues its indexing. Nothing is kept when the body breaks off or is too large. */
  addDocument(
    context: TenantContext,
    upload: DocumentUpload,
    body: Readable,
    signal: AbortSignal,
  ): Promise<VaultDocument>;
  listDocuments(
    context: TenantContext,
    page: DocumentListRequest,
    signal: AbortSignal,
  ): Promise<Page<VaultDocument>>;
  summariseVault(context: TenantContext, signal: AbortSignal): Promise<VaultSummary>;
  getDocument(context: TenantContext, documentId: DocumentId, signal: AbortSignal): Promise<VaultDocument>;
  readDocument(context: TenantContext, documentId: DocumentId, signal: AbortSignal): Promise<DocumentContent>;
  readDocumentText(
    context: TenantContext,
    documentId: DocumentId,
    signal: AbortSignal,
  ): Promise<DocumentText>;
  /** The owner may, and a tenant admin a shared one; gone from search when this returns. */
  deleteDocument(context: TenantContext, documentId: DocumentId, signal: AbortSignal): Promise<void>;
  /**
   * Removes every file, index entry and job of the context's tenant, of all its users. Throws `conflict` unless an
   * operator has begun its erasure. It goes on when the caller leaves, and may be asked for again.
   */
  eraseTenant(context: TenantContext, signal: AbortSignal): Promise<void>;
  /** Vectors of the caller's own texts, of which nothing is kept. */
  embedTexts(context: TenantContext, request: EmbedRequest, signal: AbortSignal): Promise<EmbedResult>;
  /** Throws when the service cannot answer, or stops. */
  checkReady(signal: AbortSignal): Promise<void>;
}
