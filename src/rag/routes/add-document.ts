import type { FastifyInstance } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { contextOf, signalOf } from '#app/http/build-internal-app.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';
import { documentUploadSchema } from '#app/schemas/vault-document.ts';
import { decodeMetadataHeader, RAG_METADATA_HEADER, RAG_PATHS } from '#app/services/rag-http.ts';
import type { RagRouteOptions } from '#rag/routes/route-options.ts';

/** `POST /internal/v1/documents`: the bytes are the body, and the rest is in a header. */
export function addDocumentRoute(app: FastifyInstance, { service, maxDocumentBytes }: RagRouteOptions): void {
  app.post(RAG_PATHS.documents, { bodyLimit: maxDocumentBytes }, async (request, reply) => {
    // JSON would have been parsed: only bytes are passed on as they come.
    if (request.headers['content-type'] !== 'application/octet-stream') {
      throw new BulkheadError('unsupported_media_type', 'A document is sent as application/octet-stream.', {
        param: 'content-type',
      });
    }
    const upload = parseRequest(
      documentUploadSchema.strict(),
      decodeMetadataHeader(request.headers[RAG_METADATA_HEADER]),
    );
    try {
      const document = await service.addDocument(contextOf(request), upload, request.raw, signalOf(reply));
      return reply.status(201).send(document);
    } finally {
      // What was not read is let go by, so that the answer reaches a client that is still sending.
      request.raw.resume();
    }
  });
}
