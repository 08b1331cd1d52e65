import type { FastifyInstance } from 'fastify';
import { contextOf, parseCall, signalOf } from '#app/http/build-internal-app.ts';
import { encodeMetadataHeader, RAG_METADATA_HEADER, RAG_PATHS } from '#app/services/rag-http.ts';
import { documentPathSchema, type RagRouteOptions } from '#rag/routes/route-options.ts';

/** `GET /internal/v1/documents/:document_id/content`: the original, as bytes and never as what it claims to be. */
export function readDocumentRoute(app: FastifyInstance, { service }: RagRouteOptions): void {
  app.get(`${RAG_PATHS.documents}/:document_id/content`, async (request, reply) => {
    const { document_id } = parseCall(documentPathSchema, request.params);
    const { document, body } = await service.readDocument(contextOf(request), document_id, signalOf(reply));
    return reply
      .header('content-type', 'application/octet-stream')
      .header('content-length', document.byte_size)
      .header(RAG_METADATA_HEADER, encodeMetadataHeader(document))
      .send(body);
  });
}
