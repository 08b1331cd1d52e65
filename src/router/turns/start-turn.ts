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
  services: Pick<RouterServices, 'orchestrator' | 'prices' | 'logger' | 'guardrails' | 'judges' | 'content'>;
}): Promise<AsyncGenerator<TurnEvent, void>> {
  const { plan, request, services } = options;
  const { orchestrator, prices, logger, guardrails, judges, content } = services;
  const state = stateOf(request);
  const tenant = tenantOf(request);
  await admitTurn({ plan, tenant, state, content, logger });
  const { policy, context } = tenant;
  const guarded = { policy, context, requestId: state.requestId, signal: state.signal };
  const { paramOf } = plan;
  const asked = { ...guarded, ...(paramOf === undefined ? {} : { paramOf }) };
  // The judges are others’: what is redacted does not reach them.
  const turn = await judges.judgeTurn(asked, await guardrails.input.guardTurn(asked, plan.turn));
  const events = observeTurn(orchestrator.runTurn(context, turn, state.signal), state.usage, prices);
  return judges.judgeAnswer(guarded, turn, guardrails.output.guardTurn(guarded, events));
}
