import type { FastifyInstance } from 'fastify';
import { contextOf, parseCall, signalOf } from '#app/http/build-internal-app.ts';
import { retrieveRequestSchema } from '#app/schemas/vault-document.ts';
import { RAG_PATHS } from '#app/services/rag-http.ts';
import type { RagRouteOptions } from '#rag/routes/route-options.ts';

/** `POST /internal/v1/retrieve`: the passages that answer a query best. */
export function retrieveRoute(app: FastifyInstance, { service }: RagRouteOptions): void {
  app.post(RAG_PATHS.retrieve, async (request, reply) => {
    const body = parseCall(retrieveRequestSchema.strict(), request.body);
    return service.retrieveForTenant(contextOf(request), body, signalOf(reply));
  });
}
