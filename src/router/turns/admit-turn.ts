import type { Logger } from '#observability/logger.ts';
import type { RequestState } from '#router/http/request-state.ts';
import type { TenantPrincipal } from '#router/identity/principal.ts';
import type { ContentThread } from '#router/policy/content-thread.ts';
import { decideKeyModel, decideModel } from '#router/policy/decide-model.ts';
import { decideRoute } from '#router/policy/decide-route.ts';
import { decideTools } from '#router/policy/decide-tools.ts';
import { type Refusal, refusalError } from '#router/policy/refusal.ts';
import { keepTexts } from '#router/request-log/explanation.ts';
import { admitTexts } from '#router/turns/admit-texts.ts';
import { ROUTE_MODELS, type TurnPlan } from '#router/turns/plan-turn.ts';

/** Puts every policy to the plan: route, model, tools, then content. Throws the first refusal. */
export async function admitTurn(options: {
  plan: TurnPlan;
  tenant: TenantPrincipal;
  state: RequestState;
  content: ContentThread;
  logger: Logger;
}): Promise<void> {
  const { plan, tenant, state, content, logger } = options;
  const { policy, limits } = tenant;
  const { turn } = plan;
  state.usage.explained.tools = plan.tools.map(({ name }) => name);
  state.usage.explained.requestedModel = turn.model;
  keepTexts(state.usage.explained, policy, plan.texts);
  state.usage.route = turn.route;
  state.usage.model = turn.model;

  refuseOn(decideRoute(policy, turn.route));
  for (const [name, route] of ROUTE_MODELS) {
    if (route === turn.route) refuseOn(decideKeyModel(limits.models, name));
  }
  if (turn.model !== null) {
    refuseOn(decideModel(policy, turn.model) ?? decideKeyModel(limits.models, turn.model));
  }
  refuseOn(decideTools(policy, plan.tools));
  await admitTexts({ texts: plan.texts, tenant, state, content, logger });
}

function refuseOn(refusal: Refusal | null): void {
  if (refusal !== null) throw refusalError(refusal);
}
