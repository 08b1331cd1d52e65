import type { FastifyInstance } from 'fastify';
import { contextOf, signalOf } from '#app/http/build-internal-app.ts';
import { ORCHESTRATOR_PATHS } from '#app/services/orchestrator-http.ts';
import type { OrchestratorRouteOptions } from '#orchestrator/routes/route-options.ts';

/** `GET /internal/v1/models`: what the engine serves. */
export function listModelsRoute(app: FastifyInstance, { service }: OrchestratorRouteOptions): void {
  app.get(ORCHESTRATOR_PATHS.models, async (request, reply) => ({
    data: await service.listEngineModels(contextOf(request), signalOf(reply)),
  }));
}
