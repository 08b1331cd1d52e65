import { isAbort } from '#app/errors/bulkhead-error.ts';
import { EMBEDDING_MODEL } from '#app/schemas/embedding.ts';
import type { EngineModel, OrchestratorService } from '#app/services/orchestrator-service.ts';
import type { Logger } from '#observability/logger.ts';
import type { TenantPrincipal } from '#router/identity/principal.ts';
import { decideKeyModel, decideModel } from '#router/policy/decide-model.ts';
import { ROUTE_MODELS } from '#router/turns/plan-turn.ts';

/** A model as `GET /v1/models` shows it. */
export type VisibleModel = EngineModel & { object: 'model' };

/** When our names came to be: 2026-01-01. */
const OWN_MODELS_CREATED = 1_767_225_600;

/** Names that an engine's models cannot take. */
const OWN_MODELS: ReadonlySet<string> = new Set([...ROUTE_MODELS.keys(), EMBEDDING_MODEL]);

const ownModel = (id: string): VisibleModel => ({
  id,
  object: 'model',
  created: OWN_MODELS_CREATED,
  owned_by: 'bulkhead',
});

/**
 * The models that this tenant may call: our routes and our embedding model, then the engine's models. While the
 * engine cannot be reached our own alone are listed.
 */
export async function visibleModels(options: {
  orchestrator: OrchestratorService;
  tenant: TenantPrincipal;
  signal: AbortSignal;
  logger: Logger;
}): Promise<VisibleModel[]> {
  const { orchestrator, tenant, signal, logger } = options;
  const { context, policy, limits } = tenant;
  const mayUse = (id: string) =>
    decideModel(policy, id) === null && decideKeyModel(limits.models, id) === null;
  const routes = [...ROUTE_MODELS]
    .filter(([id, route]) => policy.allowedRoutes.has(route) && decideKeyModel(limits.models, id) === null)
    .map(([id]) => ownModel(id));
  if (!policy.allowedRoutes.has('direct')) return routes;
  const own = mayUse(EMBEDDING_MODEL) ? [...routes, ownModel(EMBEDDING_MODEL)] : routes;
  try {
    const models = await orchestrator.listEngineModels(context, signal);
    return [
      ...own,
      ...models
        .filter(({ id }) => mayUse(id) && !OWN_MODELS.has(id))
        .map(({ id, created, owned_by }): VisibleModel => ({ id, object: 'model', created, owned_by })),
    ];
  } catch (error) {
    if (isAbort(error)) throw error;
    logger.warn({ err: error, request_id: context.requestId }, 'the engine’s models cannot be listed');
    return own;
  }
}
