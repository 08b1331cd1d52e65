import { isAbort } from '#app/errors/bulkhead-error.ts';
import type { EngineModel, OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { Logger } from '#observability/logger.ts';
import type { TenantPrincipal } from '#router/identity/principal.ts';
import { decideModel } from '#router/policy/decide-model.ts';
import { ROUTE_MODELS } from '#router/turns/plan-turn.ts';

/** A model as `GET /v1/models` shows it. */
export type VisibleModel = EngineModel & { object: 'model' };

/** When the names of our routes came to be: 2026-01-01. */
const ROUTE_MODELS_CREATED = 1_767_225_600;

/**
 * The models that this tenant may call: our routes, then the engine's models. While the engine cannot be
 * reached the routes alone are listed.
 */
export async function visibleModels(options: {
  orchestrator: OrchestratorService;
  tenant: TenantPrincipal;
  signal: AbortSignal;
  logger: Logger;
}): Promise<VisibleModel[]> {
  const { orchestrator, tenant, signal, logger } = options;
  const { context, policy } = tenant;
  const routes = [...ROUTE_MODELS]
    .filter(([, route]) => policy.allowedRoutes.has(route))
    .map(
      ([id]): VisibleModel => ({ id, object: 'model', created: ROUTE_MODELS_CREATED, owned_by: 'bulkhead' }),
    );
  if (!policy.allowedRoutes.has('direct')) return routes;
  try {
    const models = await orchestrator.listEngineModels(context, signal);
    return [
      ...routes,
      ...models
        .filter(({ id }) => decideModel(policy, id) === null && !ROUTE_MODELS.has(id))
        .map(({ id, created, owned_by }): VisibleModel => ({ id, object: 'model', created, owned_by })),
    ];
  } catch (error) {
    if (isAbort(error)) throw error;
    logger.warn({ err: error, request_id: context.requestId }, 'the engine’s models cannot be listed');
    return routes;
  }
}
