import type { FastifyInstance } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { checkCall, contextOf, parseCall, signalOf } from '#app/http/build-internal-app.ts';
import { documentUploadSchema } from '#app/schemas/vault-document.ts';
import { decodeMetadataHeader, RAG_METADATA_HEADER, RAG_PATHS } from '#app/services/rag-http.ts';
import type { RagRouteOptions } from '#rag/routes/route-options.ts';

/** `POST /internal/v1/documents`: the bytes are the body, and the rest is in a header. */
export function addDocumentRoute(app: FastifyInstance, { service, maxDocumentBytes }: RagRouteOptions): void {
  app.post(RAG_PATHS.documents, { bodyLimit: maxDocumentBytes }, async (request, reply) => {
    // JSON would have been parsed: only bytes are passed on as they come.
    checkCall(() => {
      if (request.headers['content-type'] === 'application/octet-stream') return;
      throw new BulkheadError('unsupported_media_type', 'A document is sent as application/octet-stream.', {
        param: 'content-type',
      });
    });
    const metadata = checkCall(() => decodeMetadataHeader(request.headers[RAG_METADATA_HEADER]));
    const upload = parseCall(documentUploadSchema.strict(), metadata);
    try {
      const document = await service.addDocument(contextOf(request), upload, request.raw, signalOf(reply));
      return reply.status(201).send(document);
    } finally {
      // What was not read is let go by, so that the answer reaches a client that is still sending.
      request.raw.resume();
    }
  });
}
