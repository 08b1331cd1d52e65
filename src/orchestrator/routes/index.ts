import type { FastifyInstance } from 'fastify';
import { deleteConversationRoute } from '#orchestrator/routes/delete-conversation.ts';
import { getConversationRoute } from '#orchestrator/routes/get-conversation.ts';
import { listConversationsRoute } from '#orchestrator/routes/list-conversations.ts';
import { listModelsRoute } from '#orchestrator/routes/list-models.ts';
import type { OrchestratorRouteOptions } from '#orchestrator/routes/route-options.ts';
import { runTurnRoute } from '#orchestrator/routes/run-turn.ts';

/** Every route needs an internal token of the router; whose conversations they are is decided by its context. */
export function registerOrchestratorRoutes(app: FastifyInstance, options: OrchestratorRouteOptions): void {
  runTurnRoute(app, options);
  listModelsRoute(app, options);
  listConversationsRoute(app, options);
  getConversationRoute(app, options);
  deleteConversationRoute(app, options);
}
