import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { untilAborted } from '#app/until-aborted.ts';
import type { TextEmbeddings } from '#rag/embeddings/text-embeddings.ts';
import type { TenantRetriever } from '#rag/tenant-retriever.ts';
import type { TenantVaultStore } from '#rag/tenant-vault-store.ts';

/** The RAG service in this process. Over HTTP it is the same: see `createRagClient`. */
export function createRagService({
  store,
  retriever,
  embeddings,
  eraseTenant,
  isClosing,
}: {
  store: TenantVaultStore;
  retriever: TenantRetriever;
  embeddings: TextEmbeddings;
  eraseTenant(context: TenantContext): Promise<void>;
  isClosing(): boolean;
}): RagService {
  return {
    retrieveForTenant: retriever.retrieveForTenant,
    addDocument: store.addDocument,
    listDocuments: store.listDocuments,
    summariseVault: store.summariseVault,
    getDocument: store.getDocument,
    readDocument: store.readDocument,
    readDocumentText: store.readDocumentText,
    deleteDocument: store.deleteDocument,
    embedTexts: embeddings.embedTexts,
    async eraseTenant(context, signal) {
      if (!context.scopes.includes('tenant:admin')) {
        throw new BulkheadError('missing_scope', 'The credential lacks the scope tenant:admin.');
      }
      await untilAborted(eraseTenant(context), signal);
    },
    async checkReady() {
      if (isClosing()) throw new BulkheadError('shutting_down', 'The service is shutting down.');
    },
  };
}
