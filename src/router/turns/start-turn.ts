import type { FastifyRequest } from 'fastify';
import type { TurnEvent } from '#app/schemas/turn.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { RouterServices } from '#router/router-services.ts';
import { admitTurn } from '#router/turns/admit-turn.ts';
import { observeTurn } from '#router/turns/observe-turn.ts';
import type { TurnPlan } from '#router/turns/plan-turn.ts';

/**
 * Runs a turn as every surface does: policies and guardrails first, then the orchestrator, whose events are counted, and
 * guarded, on their way.
 * The one way to a turn: what it enforces, no endpoint can leave out.
 */
export async function startTurn(options: {
  plan: TurnPlan;
  request: FastifyRequest;
  services: Pick<RouterServices, 'orchestrator' | 'prices' | 'logger' | 'guardrails'>;
}): Promise<AsyncGenerator<TurnEvent, void>> {
  const { plan, request, services } = options;
  const { orchestrator, prices, logger, guardrails } = services;
  const state = stateOf(request);
  const tenant = tenantOf(request);
  await admitTurn({ plan, tenant, state, logger });
  const { policy, context } = tenant;
  const guarded = { policy, context, requestId: state.requestId, signal: state.signal };
  const { paramOf } = plan;
  const turn = await guardrails.input.guardTurn(
    { ...guarded, ...(paramOf === undefined ? {} : { paramOf }) },
    plan.turn,
  );
  const events = observeTurn(orchestrator.runTurn(context, turn, state.signal), state.usage, prices);
  return guardrails.output.guardTurn(guarded, events);
}
