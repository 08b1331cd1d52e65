import type { FastifyInstance } from 'fastify';
import { contextOf, parseCall, signalOf } from '#app/http/build-internal-app.ts';
import { RAG_PATHS } from '#app/services/rag-http.ts';
import { documentPathSchema, type RagRouteOptions } from '#rag/routes/route-options.ts';

/** `GET /internal/v1/documents/:document_id` */
export function getDocumentRoute(app: FastifyInstance, { service }: RagRouteOptions): void {
  app.get(`${RAG_PATHS.documents}/:document_id`, async (request, reply) => {
    const { document_id } = parseCall(documentPathSchema, request.params);
    return service.getDocument(contextOf(request), document_id, signalOf(reply));
  });
}
