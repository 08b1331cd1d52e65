import { join } from 'node:path';
import type { Database } from '#app/database/database.ts';
import type { JobsConnection } from '#app/database/jobs-connection.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { Settings } from '#app/settings/settings.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import type { Logger } from '#observability/logger.ts';
import { createTextEmbeddings } from '#rag/embeddings/text-embeddings.ts';
import { createEraseTenant } from '#rag/erase-tenant.ts';
import { createLocalVaultFiles } from '#rag/files/local-vault-files.ts';
import { createLanceVaultIndex } from '#rag/index/lance-vault-index.ts';
import { searchFairly } from '#rag/index/search-fairly.ts';
import { createIngestQueue } from '#rag/ingest/ingest-queue.ts';
import { createDocumentParser } from '#rag/ingest/parse/document-parser.ts';
import { createProcessDocument } from '#rag/ingest/process-document.ts';
import { reconcileVaults } from '#rag/ingest/reconcile-vaults.ts';
import { createIsolationAlarm } from '#rag/isolation-alarm.ts';
import { createRagService } from '#rag/rag-service.ts';
import { createTenantRetriever } from '#rag/tenant-retriever.ts';
import { createTenantVaultStore, type TenantVaultStore } from '#rag/tenant-vault-store.ts';

export type RagOptions = Readonly<{
  settings: Pick<
    Settings,
    | 'MAX_DOCUMENT_BYTES'
    | 'TENANT_MAX_STORED_BYTES'
    | 'TENANT_MAX_DOCUMENTS'
    | 'INGEST_WORKERS'
    | 'PARSER_TIMEOUT_MS'
    | 'PARSER_MEMORY_MB'
  > &
    Partial<Pick<Settings, 'VAULT_SEARCHES'>>;
  database: Database;
  jobs: JobsConnection;
  embedder: Embedder;
  /** Holds `vault/` and `index/`. One process at a time may use it: the caller holds the lock. */
  dataDirectory: string;
  logger: Logger;
}>;

export type Rag = {
  service: RagService;
  store: TenantVaultStore;
  /** Begins to index. What an earlier process left unfinished is found, and taken up, in the background. */
  start(): Promise<void>;
  /** Resolves when all that earlier processes left has been found and queued. */
  reconciled(): Promise<void>;
  /** Says that the service is not ready any more; requests are still answered. */
  drain(): void;
  /** Stops indexing (the next start goes on) and closes files and index; not the database, nor the embedder. */
  close(): Promise<void>;
};

const DEFAULT_SEARCHES = 8;

/** Puts the RAG service together on local files and LanceDB. */
export async function createRag(options: RagOptions): Promise<Rag> {
  const { settings, database, jobs, embedder, dataDirectory, logger } = options;
  const files = await createLocalVaultFiles({ directory: join(dataDirectory, 'vault') });
  // Before the first upload of this process.
  await files.removeUnfinished();
  const lance = await createLanceVaultIndex({
    directory: join(dataDirectory, 'index'),
    dimensions: embedder.dimensions,
    embedderId: embedder.id,
    onBackgroundError: (error, tenantId) =>
      logger.error(
        { event: 'index_compaction_failed', tenant_id: tenantId, err: error },
        'compaction failed',
      ),
  });
  const index = searchFairly(lance, settings.VAULT_SEARCHES ?? DEFAULT_SEARCHES);
  const parser = createDocumentParser({
    timeoutMs: settings.PARSER_TIMEOUT_MS,
    memoryMb: settings.PARSER_MEMORY_MB,
    workers: settings.INGEST_WORKERS,
  });
  const process = createProcessDocument({
    database,
    files,
    index,
    parser,
    embedder,
    logger,
    now: () => performance.now(),
  });
  const queue = createIngestQueue({ jobs, database, process, workers: settings.INGEST_WORKERS, logger });
  const embedderId = embedder.id;
  const store = createTenantVaultStore({
    database,
    files,
    index,
    queue,
    embedderId,
    maxDocumentBytes: settings.MAX_DOCUMENT_BYTES,
    storage: { maxBytes: settings.TENANT_MAX_STORED_BYTES, maxDocuments: settings.TENANT_MAX_DOCUMENTS },
    logger,
  });
  const alarm = createIsolationAlarm({ logger });
  const retriever = createTenantRetriever({ index, embedder, database, alarm });

  const closing = new AbortController();
  let draining = false;
  let reconciling: Promise<void> = Promise.resolve();
  return {
    service: createRagService({
      store,
      retriever,
      embeddings: createTextEmbeddings({ embedder }),
      eraseTenant: createEraseTenant({ database, files, index, queue }),
      isClosing: () => draining || closing.signal.aborted,
    }),
    store,
    async start() {
      await queue.start();
      const dependencies = { database, files, index, embedderId, logger, queue };
      reconciling = reconcileVaults(dependencies, closing.signal).catch((error: unknown) => {
        if (closing.signal.aborted) return;
        logger.error({ event: 'reconcile_failed', err: error }, 'vaults could not be reconciled');
      });
    },
    reconciled: () => reconciling,
    drain() {
      draining = true;
    },
    async close() {
      closing.abort(new DOMException('The service is shutting down.', 'AbortError'));
      await reconciling;
      await queue.close();
      await parser.close();
      await index.close();
    },
  };
}
