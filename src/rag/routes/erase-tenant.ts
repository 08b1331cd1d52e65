import type { FastifyInstance } from 'fastify';
import { contextOf, signalOf } from '#app/http/build-internal-app.ts';
import { RAG_PATHS } from '#app/services/rag-http.ts';
import type { RagRouteOptions } from '#rag/routes/route-options.ts';

/** `DELETE /internal/v1/tenant`: everything that this service holds of the token's tenant. */
export function eraseTenantRoute(app: FastifyInstance, { service }: RagRouteOptions): void {
  app.delete(RAG_PATHS.tenant, async (request, reply) => {
    await service.eraseTenant(contextOf(request), signalOf(reply));
    return reply.status(204).send();
  });
}
