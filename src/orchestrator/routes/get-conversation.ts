import type { FastifyInstance } from 'fastify';
import { contextOf, parseCall, signalOf } from '#app/http/build-internal-app.ts';
import { ORCHESTRATOR_PATHS } from '#app/services/orchestrator-http.ts';
import { conversationPathSchema, type OrchestratorRouteOptions } from '#orchestrator/routes/route-options.ts';

/** `GET /internal/v1/conversations/:conversation_id`: the conversation and its messages. */
export function getConversationRoute(app: FastifyInstance, { service }: OrchestratorRouteOptions): void {
  app.get(`${ORCHESTRATOR_PATHS.conversations}/:conversation_id`, async (request, reply) => {
    const { conversation_id } = parseCall(conversationPathSchema, request.params);
    return service.getConversation(contextOf(request), conversation_id, signalOf(reply));
  });
}
