import type { Readable } from 'node:stream';
import type { Database, Transaction } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import { type DocumentId, documentIdSchema, newDocumentId } from '#app/ids.ts';
import { type Page, toPage } from '#app/schemas/page.ts';
import type { DocumentListRequest, DocumentUpload, VaultDocument } from '#app/schemas/vault-document.ts';
import type { VaultSummary } from '#app/schemas/vault-summary.ts';
import type { DocumentContent, DocumentText } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { untilAborted } from '#app/until-aborted.ts';
import type { Logger } from '#observability/logger.ts';
import {
  existingDocuments,
  findDocument,
  findEqualDocument,
  insertDocument,
  listDocuments,
  summariseDocuments,
} from '#rag/documents/document-rows.ts';
import { finishDeletion } from '#rag/documents/finish-deletion.ts';
import { listIndexStates, requeueDocuments, startDeleting } from '#rag/documents/indexing-rows.ts';
import { readTenantStorage, refuseOverStorage, type StorageDefaults } from '#rag/documents/tenant-storage.ts';
import { collectionFor, requireScope } from '#rag/documents/upload-permissions.ts';
import type { DocumentMetadata, DocumentPlace, StagedFile, VaultFiles } from '#rag/files/vault-files.ts';
import type { VaultIndex } from '#rag/index/vault-index.ts';
import type { IngestQueue } from '#rag/ingest/ingest-queue.ts';
import { detectFormat } from '#rag/ingest/parse/detect-format.ts';
import { staleDocuments } from '#rag/ingest/stale-documents.ts';

export type BuildIndexResult = { queued: number; unchanged: number };

/** The documents of tenants: their files, their rows and what of them is searchable. */
export interface TenantVaultStore {
  /**
   * Stores an upload and queues its indexing. One that equals an earlier one of the same user (name, title,
   * visibility and bytes) is that document; a failed one is then tried again. Throws `storage_exceeded` where the tenant
   * stores as much as it may.
   */
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
  deleteDocument(context: TenantContext, documentId: DocumentId, signal: AbortSignal): Promise<void>;
  /**
   * Queues what the index does not hold as it should, of the user's own documents (of the whole tenant's, for its
   * admin), and what failed. Everything else is left as it is.
   */
  buildIndex(context: TenantContext, signal: AbortSignal): Promise<BuildIndexResult>;
}

export type TenantVaultStoreOptions = Readonly<{
  database: Database;
  files: VaultFiles;
  index: VaultIndex;
  queue: IngestQueue;
  embedderId: string;
  maxDocumentBytes: number;
  /** What tenants may store of which the policy says nothing. */
  storage: StorageDefaults;
  logger: Logger;
}>;

/**
 * Uploads whose bytes are here and that are made documents: files are synced, a transaction waits for them. More at once would
 * queue in the thread pool of Node and before the database, where tenants have no turns.
 */
const STORING = { capacity: 4, alpha: Number.POSITIVE_INFINITY, maxWaiting: 1_024, maxWaitMs: 30_000 };

export function createTenantVaultStore(options: TenantVaultStoreOptions): TenantVaultStore {
  const { database, files, index, queue, embedderId, maxDocumentBytes, storage, logger } = options;
  const storing = new FairSemaphore({ resource: 'the disk and the database of documents', ...STORING });

  /** A user's own documents and the shared ones; another's and nobody's are missing alike. */
  async function find(
    context: TenantContext,
    documentId: DocumentId,
    signal: AbortSignal,
  ): Promise<VaultDocument> {
    const reading = database.asUser(context, (transaction) => findDocument(transaction, documentId));
    const row = await untilAborted(reading, signal);
    if (row === undefined) throw notFound('document', 'document_id');
    return row.document;
  }

  /**
   * Makes a document of a staged upload: its files move into place, then its row is committed. Cut off between the
   * two, the next start adds the row; before the first, nothing is there.
   */
  async function store(
    context: TenantContext,
    staged: StagedFile,
    metadata: DocumentMetadata,
  ): Promise<VaultDocument> {
    const add = async (transaction: Transaction): Promise<VaultDocument> => {
      const equal = await findEqualDocument(transaction, metadata);
      if (equal !== undefined) {
        if (equal.document.status === 'failed') {
          await requeueDocuments(transaction, [equal.document.document_id]);
        }
        return (await findDocument(transaction, equal.document.document_id))?.document ?? equal.document;
      }
      // Refused before a file moves where the tenant is gone; and its erasure waits for this transaction to end.
      await insertDocument(transaction, metadata);
      await refuseOverStorage(transaction, storage, { bytes: metadata.byte_size });
      await staged.commit(metadata);
      const row = await findDocument(transaction, metadata.document_id);
      if (row === undefined) throw new Error('A document was not found after it was added.');
      return row.document;
    };
    // Outside the transaction, which holds a connection that others need.
    await staged.prepare(metadata);
    try {
      return await database.asUser(context, add);
    } catch (error) {
      await removeUnlessCommitted(context, placeOf(metadata));
      throw error;
    }
  }

  /** After a failure nobody knows whether the row was committed. Files are removed only when it surely was not. */
  async function removeUnlessCommitted(context: TenantContext, place: DocumentPlace): Promise<void> {
    try {
      const rows = await database.asUser(context, (transaction) =>
        existingDocuments(transaction, [place.documentId]),
      );
      if (rows.size === 0) await files.remove(place);
    } catch (error) {
      logger.warn(
        { event: 'upload_cleanup_failed', document_id: place.documentId, err: error },
        'files stay',
      );
    }
  }

  return {
    async addDocument(context, upload, body, signal) {
      // The body may fail while nobody listens to it yet.
      body.on('error', () => {});
      requireScope(context, 'vault:write');
      if (upload.visibility === 'tenant') requireScope(context, 'vault:share', 'visibility');
      const collection = collectionFor(context, upload.collection);
      const label = { filename: upload.filename, mediaType: upload.media_type };
      // What no parser takes is refused here, rather than stored and called `failed` later.
      const checkHead = (head: Uint8Array) => void detectFormat(head, label);
      const staged = await files.receive(body, { maxBytes: maxDocumentBytes, signal, checkHead });
      try {
        const metadata: DocumentMetadata = {
          format: 1,
          tenant_id: context.tenantId,
          user_id: context.userId,
          document_id: newDocumentId(),
          visibility: upload.visibility,
          collection,
          title: upload.title ?? null,
          filename: upload.filename,
          media_type: upload.media_type,
          byte_size: staged.byteSize,
          content_hash: staged.contentHash,
          created_at: new Date().toISOString(),
        };
        const document = await storing.run(context.tenantId, signal, () => store(context, staged, metadata));
        await queue.wake(context);
        return document;
      } finally {
        await staged.discard();
      }
    },

    async listDocuments(context, page, signal) {
      if (page.after !== undefined && !documentIdSchema.safeParse(page.after).success) {
        throw new BulkheadError('invalid_request', 'after: must be the id of a document', { param: 'after' });
      }
      const reading = database.asUser(context, (transaction) => listDocuments(transaction, page));
      return toPage(await untilAborted(reading, signal), page.limit, (document) => document.document_id);
    },

    async summariseVault(context, signal) {
      const reading = database.asUser(context, async (transaction) => ({
        ...(await summariseDocuments(transaction)),
        storage: administers(context) ? await readTenantStorage(transaction, storage) : null,
      }));
      return untilAborted(reading, signal);
    },

    getDocument: find,

    async readDocument(context, documentId, signal) {
      const document = await find(context, documentId, signal);
      return { document, body: await files.openOriginal(placeOf(document)) };
    },

    async readDocumentText(context, documentId, signal) {
      const document = await find(context, documentId, signal);
      try {
        const { pages } = await untilAborted(files.readText(placeOf(document)), signal);
        return { document, pages };
      } catch (error) {
        if (!(error instanceof BulkheadError) || error.code !== 'not_found') throw error;
        throw new BulkheadError('conflict', `The document has no text: it is ${document.status}.`, {
          param: 'document_id',
        });
      }
    },

    async deleteDocument(context, documentId, signal) {
      signal.throwIfAborted();
      requireScope(context, 'vault:write');
      let owner = await database.asUser(context, (transaction) =>
        startDeleting(transaction, documentId, false),
      );
      if (owner === undefined && context.scopes.includes('tenant:admin')) {
        owner = await database.asTenant(context, (transaction) =>
          startDeleting(transaction, documentId, true),
        );
      }
      if (owner === undefined) {
        await find(context, documentId, signal);
        // The caller sees it, so that it is there is no secret.
        throw new BulkheadError(
          'missing_scope',
          'The document is another user’s: its owner and the tenant’s admins may delete it.',
          { param: 'document_id', refusal: { policy: 'scopes' } },
        );
      }
      // From here on nobody finds it. The rest is completed, also when the caller leaves.
      queue.cancel(documentId);
      try {
        await finishDeletion(options, context, { tenantId: context.tenantId, userId: owner, documentId });
      } catch (error) {
        logger.warn(
          { event: 'deletion_unfinished', tenant_id: context.tenantId, document_id: documentId, err: error },
          'a deletion is finished in the background',
        );
        await queue.wake(context);
      }
    },

    async buildIndex(context, signal) {
      requireScope(context, 'vault:write');
      const asOwner = context.scopes.includes('tenant:admin') ? database.asTenant : database.asUser;
      const [states, indexed] = await untilAborted(
        Promise.all([asOwner(context, listIndexStates), index.listDocuments(context)]),
        signal,
      );
      const failed = states.filter((state) => state.status === 'failed').map((state) => state.documentId);
      const wanted = [...staleDocuments(states, indexed, embedderId), ...failed];
      // A user's transaction changes the user's own rows only, so shared ones of others stay as they are.
      const queued = await asOwner(context, (transaction) => requeueDocuments(transaction, wanted));
      await queue.wake(context);
      return { queued, unchanged: states.length - queued };
    },
  };
}

/** A credential of some collections administers nothing. */
const administers = ({ scopes, collections }: TenantContext): boolean =>
  collections === null && scopes.includes('tenant:admin');

const placeOf = (of: Pick<VaultDocument, 'tenant_id' | 'user_id' | 'document_id'>): DocumentPlace => ({
  tenantId: of.tenant_id,
  userId: of.user_id,
  documentId: of.document_id,
});
