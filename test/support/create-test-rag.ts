import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import type { DocumentId } from '#app/ids.ts';
import type { DocumentUpload, VaultDocument } from '#app/schemas/vault-document.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { createOnnxEmbedder } from '#inference/embed/onnx-embedder.ts';
import { SHIPPED_MODEL_DIRECTORY } from '#inference/embed/shipped-model.ts';
import { silentLogger } from '#observability/logger.ts';
import { createRag, type Rag } from '#rag/create-rag.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant } from '#test/support/test-context.ts';

export const MAX_TEST_DOCUMENT_BYTES = 200_000;
const never = new AbortController().signal;

export type TestRag = {
  open: OpenDatabase;
  embedder: Embedder;
  dataDirectory: string;
  /** The RAG that runs now; another one after `restart`. */
  current(): Rag;
  /** Closes the present one (as a stopping process does), lets `between` happen, and starts the next. */
  restart(between?: () => Promise<void>): Promise<Rag>;
  close(): Promise<void>;
};

/** The model that ships with the repository. */
export const createTestEmbedder = (): Promise<Embedder> =>
  createOnnxEmbedder({ modelDirectory: SHIPPED_MODEL_DIRECTORY });

/** A RAG service on real parts: PGlite in memory, LanceDB and files in a directory of its own, the shipped model. */
export async function createTestRag(
  tenants: readonly string[],
  options: {
    /** One to share between tests, who close it themselves; absent: one of its own. */
    embedder?: Embedder;
    wrapEmbedder?(embedder: Embedder): Embedder;
  } = {},
): Promise<TestRag> {
  const { wrapEmbedder = (embedder) => embedder } = options;
  const open = await createTestDatabase();
  for (const tenantId of tenants) await insertTestTenant(open.database, tenantId);
  const embedder = options.embedder ?? (await createTestEmbedder());
  const dataDirectory = await mkdtemp(join(tmpdir(), 'bulkhead-rag-'));
  const begin = async (): Promise<Rag> => {
    const rag = await createRag({
      settings: {
        MAX_DOCUMENT_BYTES: MAX_TEST_DOCUMENT_BYTES,
        TENANT_MAX_STORED_BYTES: 10_737_418_240,
        TENANT_MAX_DOCUMENTS: 100_000,
        INGEST_WORKERS: 1,
        PARSER_TIMEOUT_MS: 60_000,
        PARSER_MEMORY_MB: 512,
      },
      database: open.database,
      jobs: open.jobs,
      embedder: wrapEmbedder(embedder),
      dataDirectory,
      logger: silentLogger,
    });
    await rag.start();
    return rag;
  };
  let rag = await begin();
  return {
    open,
    embedder,
    dataDirectory,
    current: () => rag,
    async restart(between) {
      await rag.close();
      await between?.();
      rag = await begin();
      return rag;
    },
    async close() {
      await rag.close();
      if (options.embedder === undefined) await embedder.close();
      await open.close();
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}

/** Uploads a text; Markdown unless told otherwise. */
export function uploadText(
  service: RagService,
  context: TenantContext,
  text: string | Buffer,
  upload: Partial<DocumentUpload> = {},
): Promise<VaultDocument> {
  const body = Readable.from([Buffer.from(text)]);
  const label = {
    filename: 'note.md',
    media_type: 'text/markdown',
    visibility: 'private',
    ...upload,
  } as const;
  return service.addDocument(context, label, body, never);
}

/** Waits until the document is `ready` or `failed`. */
export async function finished(
  service: RagService,
  context: TenantContext,
  documentId: DocumentId,
): Promise<VaultDocument> {
  for (;;) {
    const document = await service.getDocument(context, documentId, never);
    if (document.status === 'ready' || document.status === 'failed') return document;
    await sleep(20);
  }
}
