import type { FastifyRequest } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TurnBatch, TurnRequest } from '#app/schemas/turn.ts';
import { inSpan, type Span, type Trace } from '#app/trace.ts';
import { turnOfTenant } from '#app/turn-of-tenant.ts';
import type { AnswerGuard } from '#router/guardrails/output/answer-guard.ts';
import { stateOf, tenantOf } from '#router/http/request-state.ts';
import type { RouterServices } from '#router/router-services.ts';
import { admitTurn } from '#router/turns/admit-turn.ts';
import { answerSlices } from '#router/turns/answer-slices.ts';
import { chooseTools } from '#router/turns/choose-tools.ts';
import { TurnObserver } from '#router/turns/observe-turn.ts';
import type { TurnPlan } from '#router/turns/plan-turn.ts';
import { renameParam } from '#router/turns/rename-param.ts';

/**
 * Runs a turn as every surface does: policies and guardrails first, then the orchestrator, whose events are counted, and
 * guarded, on their way.
 * The one way to a turn: what it enforces, no endpoint can leave out.
 */
export async function startTurn(options: {
  plan: TurnPlan;
  request: FastifyRequest;
  services: Pick<RouterServices, 'orchestrator' | 'prices' | 'logger' | 'guardrails' | 'judges' | 'content'>;
  /** Told of the turn as it is run: what of it is kept is kept as the guardrails leave it. */
  onGuarded?: (turn: TurnRequest) => void;
}): Promise<AsyncGenerator<TurnBatch, void>> {
  const { plan, request, services } = options;
  const { orchestrator, prices, logger, guardrails, judges, content } = services;
  const state = stateOf(request);
  const tenant = tenantOf(request);
  const { policy, context } = tenant;
  const { trace } = context;
  await inSpan(trace, 'policy', () => admitTurn({ plan, tenant, state, content, logger }));
  const guarded = { policy, context, requestId: state.requestId, signal: state.signal };
  const { paramOf } = plan;
  const asked = paramOf === undefined ? guarded : { ...guarded, paramOf };
  // The judges are others’: what is redacted does not reach them.
  const turn = await inSpan(trace, 'guard input', async () =>
    judges.judgeTurn(asked, await guardrails.input.guardTurn(asked, withChosenTools(plan))),
  );
  options.onGuarded?.(turn);
  const answer = answerOf({
    tenantId: context.tenantId,
    begin: () => state.usage.meter.begin(),
    run: () => orchestrator.runTurn(context, withAnswerLimit(turn, state.usage.answerLimit), state.signal),
    observer: new TurnObserver(state.usage, prices),
    guard: guardrails.output.guardAnswer(guarded),
    trace,
  });
  return judges.judgeAnswer(guarded, turn, answer);
}

/**
 * The turn's events, counted and then guarded. It is run only once it is written down that it begins. Throws where it ends
 * without its last event.
 */
async function* answerOf({
  tenantId,
  begin,
  run,
  observer,
  guard,
  trace,
}: {
  tenantId: string;
  begin: () => Promise<void>;
  run: () => AsyncIterable<TurnBatch>;
  observer: TurnObserver;
  guard: AnswerGuard;
  trace: Trace;
}): AsyncGenerator<TurnBatch, void> {
  let guarding: Span | undefined;
  try {
    await inSpan(trace, 'budget', begin);
    for await (const events of run()) {
      // From the first piece to the end: what is held back to be looked at is held back within it.
      guarding ??= trace.begin('guard output');
      const slices = answerSlices(events);
      for (const slice of slices ?? [events]) {
        // Answers that flood in would otherwise fill every turn of the event loop between them.
        if (slices !== null) await turnOfTenant(tenantId);
        const { passed, failure } = guard.take(observer.take(slice));
        if (passed.length > 0) yield passed;
        if (failure !== null) throw failure.error;
        if (observer.isFinished) return;
      }
    }
  } finally {
    guard.end();
    guarding?.end();
  }
  throw new BulkheadError('engine_error', 'The answer broke off.');
}

/** An answer that is as long as the engine likes costs more than was held for it. */
const withAnswerLimit = (turn: TurnRequest, limit: number | null): TurnRequest =>
  limit === null || turn.sampling.max_tokens !== undefined ? turn : { ...turn, answer_limit: limit };

/** The policies have seen all tools by now. */
function withChosenTools({ turn, paramOf }: TurnPlan): TurnRequest {
  if (turn.engine_parameters.tool_choice === undefined) return turn;
  try {
    return { ...turn, engine_parameters: chooseTools(turn.engine_parameters) };
  } catch (error) {
    throw paramOf === undefined ? error : renameParam(error, paramOf);
  }
}
