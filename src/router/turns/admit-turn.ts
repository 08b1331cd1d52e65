import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { Logger } from '#observability/logger.ts';
import type { RequestState } from '#router/http/request-state.ts';
import type { TenantPrincipal } from '#router/identity/principal.ts';
import { decideContent } from '#router/policy/decide-content.ts';
import { decideModel } from '#router/policy/decide-model.ts';
import { decideRoute } from '#router/policy/decide-route.ts';
import { decideTools } from '#router/policy/decide-tools.ts';
import { type Refusal, refusalError } from '#router/policy/refusal.ts';
import type { TurnPlan } from '#router/turns/plan-turn.ts';

/** Matching this long, other requests get their turn. */
const SLICE_MS = 5;

/** Puts every policy to the plan: route, model, tools, then content. Throws the first refusal. */
export async function admitTurn(options: {
  plan: TurnPlan;
  tenant: TenantPrincipal;
  state: RequestState;
  logger: Logger;
}): Promise<void> {
  const { plan, tenant, state, logger } = options;
  const { policy, context } = tenant;
  const { turn } = plan;
  state.usage.route = turn.route;
  state.usage.model = turn.model;
  refuseOn(decideRoute(policy, turn.route));
  if (turn.model !== null) refuseOn(decideModel(policy, turn.model));
  refuseOn(decideTools(policy, plan.tools));

  const flags = new Set<string>();
  let sliceStart = performance.now();
  for (const text of plan.texts) {
    const decision = decideContent(policy, text);
    for (const flag of decision.flags) flags.add(flag);
    refuseOn(decision.refusal);
    if (performance.now() - sliceStart > SLICE_MS) {
      await yieldToOthers();
      state.signal.throwIfAborted();
      sliceStart = performance.now();
    }
  }
  if (flags.size > 0) {
    logger.info(
      { event: 'flagged', request_id: state.requestId, tenant_id: context.tenantId, patterns: [...flags] },
      'content matches patterns that only flag',
    );
  }
}

function refuseOn(refusal: Refusal | null): void {
  if (refusal !== null) throw refusalError(refusal);
}
