import { Readable } from 'node:stream';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import {
  createServiceConnection,
  type ServiceConnection,
  type ServiceConnectionOptions,
} from '#app/http/service-connection.ts';
import { pageOf } from '#app/schemas/page.ts';
import { retrieveResultSchema, vaultDocumentSchema } from '#app/schemas/vault-document.ts';
import { vaultSummarySchema } from '#app/schemas/vault-summary.ts';
import {
  decodeMetadataHeader,
  decodeVector,
  documentTextSchema,
  embeddingsSchema,
  encodeMetadataHeader,
  RAG_METADATA_HEADER,
  RAG_PATHS,
} from '#app/services/rag-http.ts';
import type { RagService } from '#app/services/rag-service.ts';

export type RagClientOptions = Omit<ServiceConnectionOptions, 'service' | 'audience'>;

const SERVICE = 'RAG service';
/** The RAG service over HTTP. It behaves as the one in process does: the same results, errors and aborts. */
export function createRagClient(
  options: RagClientOptions,
): RagService & Pick<ServiceConnection, 'stats' | 'close'> {
  const connection = createServiceConnection({ ...options, service: SERVICE, audience: 'rag-service' });
  const documentPath = (documentId: string) => `${RAG_PATHS.documents}/${encodeURIComponent(documentId)}`;

  return {
    retrieveForTenant: (context, request, signal) =>
      connection.call(
        context,
        {
          method: 'POST',
          path: RAG_PATHS.retrieve,
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(request),
        },
        retrieveResultSchema,
        signal,
      ),

    async addDocument(context, upload, body, signal) {
      // Before the first await: the body may fail before it is read.
      withErrorListener(body);
      signal.throwIfAborted();
      let broken: unknown;
      const source = withErrorListener(Readable.from(chunksOf(body), { objectMode: false }), (error) => {
        broken = error;
      });
      try {
        const { body: answer } = await connection.send(
          context,
          {
            method: 'POST',
            path: RAG_PATHS.documents,
            headers: {
              'content-type': 'application/octet-stream',
              [RAG_METADATA_HEADER]: encodeMetadataHeader(upload),
            },
            body: source,
            lane: 'long',
          },
          signal,
        );
        return connection.parse(vaultDocumentSchema, await answer.json());
      } catch (error) {
        if (!signal.aborted && broken !== undefined && error === broken) {
          if (error instanceof BulkheadError) throw error;
          throw new BulkheadError('client_closed', 'The upload broke off.', { cause: error });
        }
        throw connection.translate(error, signal);
      } finally {
        source.destroy();
      }
    },

    listDocuments(context, page, signal) {
      const query = new URLSearchParams({ limit: String(page.limit) });
      if (page.after !== undefined) query.set('after', page.after);
      if (page.collection !== undefined) query.set('collection', page.collection);
      const path = `${RAG_PATHS.documents}?${query}`;
      return connection.call(context, { method: 'GET', path }, pageOf(vaultDocumentSchema), signal);
    },

    summariseVault: (context, signal) =>
      connection.call(context, { method: 'GET', path: RAG_PATHS.summary }, vaultSummarySchema, signal),

    getDocument: (context, documentId, signal) =>
      connection.call(
        context,
        { method: 'GET', path: documentPath(documentId) },
        vaultDocumentSchema,
        signal,
      ),

    async readDocument(context, documentId, signal) {
      signal.throwIfAborted();
      try {
        const path = `${documentPath(documentId)}/content`;
        const { headers, body } = await connection.send(
          context,
          { method: 'GET', path, lane: 'long' },
          signal,
        );
        // Its reader comes later: the answer waits for the ledger first.
        withErrorListener(body);
        try {
          const metadata = decodeMetadataHeader(headers[RAG_METADATA_HEADER]);
          return { document: connection.parse(vaultDocumentSchema, metadata), body };
        } catch (error) {
          // Unread, it would keep its connection.
          body.destroy();
          throw error;
        }
      } catch (error) {
        throw connection.translate(error, signal);
      }
    },

    readDocumentText: (context, documentId, signal) =>
      connection.call(
        context,
        { method: 'GET', path: `${documentPath(documentId)}/text` },
        documentTextSchema,
        signal,
      ),

    deleteDocument: (context, documentId, signal) =>
      connection.callWithoutAnswer(context, { method: 'DELETE', path: documentPath(documentId) }, signal),

    eraseTenant: (context, signal) =>
      connection.callWithoutAnswer(context, { method: 'DELETE', path: RAG_PATHS.tenant }, signal),

    async embedTexts(context, request, signal) {
      const what = {
        method: 'POST',
        path: RAG_PATHS.embeddings,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(request),
      } as const;
      const { vectors, tokens } = await connection.call(context, what, embeddingsSchema, signal);
      if (vectors.length !== request.texts.length) {
        throw new BulkheadError('service_unavailable', `The ${SERVICE} returned an invalid response.`);
      }
      return { vectors: vectors.map(decodeVector), tokens };
    },

    checkReady: (signal) => connection.callWithoutAnswer(null, { method: 'GET', path: '/readyz' }, signal),

    get stats() {
      return connection.stats;
    },
    close: () => connection.close(),
  };
}

/** An early refusal ends the sending and not the body: whoever holds its connection must still answer on it. */
async function* chunksOf(body: Readable): AsyncGenerator<unknown> {
  const chunks = body.iterator({ destroyOnReturn: false });
  try {
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) yield next.value;
  } finally {
    await chunks.return?.();
  }
}
