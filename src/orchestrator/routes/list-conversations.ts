import type { FastifyInstance } from 'fastify';
import { contextOf, signalOf } from '#app/http/build-internal-app.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';
import { pageRequestSchema } from '#app/schemas/page.ts';
import { ORCHESTRATOR_PATHS } from '#app/services/orchestrator-http.ts';
import type { OrchestratorRouteOptions } from '#orchestrator/routes/route-options.ts';

/** `GET /internal/v1/conversations`: newest first, a page at a time. */
export function listConversationsRoute(app: FastifyInstance, { service }: OrchestratorRouteOptions): void {
  app.get(ORCHESTRATOR_PATHS.conversations, async (request, reply) => {
    // The cursor is the client's: the router passes it on as it came.
    const page = parseRequest(pageRequestSchema, request.query);
    return service.listConversations(contextOf(request), page, signalOf(reply));
  });
}
