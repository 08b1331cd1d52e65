import type { FastifyInstance } from 'fastify';
import { contextOf, signalOf } from '#app/http/build-internal-app.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';
import { documentListRequestSchema } from '#app/schemas/vault-document.ts';
import { RAG_PATHS } from '#app/services/rag-http.ts';
import type { RagRouteOptions } from '#rag/routes/route-options.ts';

/** `GET /internal/v1/documents`: newest first, a page at a time. */
export function listDocumentsRoute(app: FastifyInstance, { service }: RagRouteOptions): void {
  app.get(RAG_PATHS.documents, async (request, reply) => {
    // The cursor is the client's: the router passes it on as it came.
    const page = parseRequest(documentListRequestSchema, request.query);
    return service.listDocuments(contextOf(request), page, signalOf(reply));
  });
}
