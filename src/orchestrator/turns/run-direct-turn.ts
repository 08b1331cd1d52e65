import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { toBulkheadError } from '#app/http/to-bulkhead-error.ts';
import { NO_TOKENS } from '#app/schemas/token-usage.ts';
import type { TurnBatch, TurnEvent, TurnRequest } from '#app/schemas/turn.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import { EngineCall } from '#orchestrator/turns/engine-call.ts';
import { refuseBlockedTools } from '#orchestrator/turns/refuse-blocked-tools.ts';

/** A turn without the graph: the engine's own stream, under the same policies. Nothing is retrieved or stored. */
export async function* runDirectTurn(options: {
  engine: InferenceEngine;
  tenant: TenantContext;
  request: TurnRequest;
  signal: AbortSignal;
  monotonicNow: () => number;
}): AsyncGenerator<TurnBatch, void, undefined> {
  const { engine, tenant, request, signal, monotonicNow } = options;
  if (request.persist || request.conversation_id !== undefined) {
    throw new BulkheadError('invalid_request', 'The direct route keeps no conversation.', {
      param: 'conversation_id',
    });
  }
  refuseBlockedTools(request);
  const model = request.model ?? engine.defaultModel;
  const started: TurnEvent = {
    type: 'started',
    conversation_id: null,
    route: 'direct',
    model,
    engine: engine.name,
  };
  const start = monotonicNow();
  let firstTokenMs: number | null = null;
  let finishReason = 'stop';
  let usage = NO_TOKENS;
  const { messages, sampling, engine_parameters: engineParameters, answer_limit: answerLimit } = request;
  const call = new EngineCall({
    engine,
    tenant,
    request: {
      model,
      messages,
      sampling,
      engineParameters,
      sources: null,
      ...(answerLimit === undefined ? {} : { answerLimit }),
    },
    signal,
  });
  let isRead = false;
  try {
    let told = call.attempts;
    yield told === 0 ? [started] : [started, { type: 'asked', attempts: told }];
    while (told < call.attempts || !call.isAnswered) {
      if (told === call.attempts) await call.news();
      else {
        told = call.attempts;
        yield [{ type: 'asked', attempts: told }];
      }
    }
    isRead = true;
    for await (const chunks of call) {
      firstTokenMs ??= monotonicNow() - start;
      const events: TurnEvent[] = [];
      for (const chunk of chunks) {
        usage = chunk.usage ?? usage;
        for (const { index, finish_reason } of chunk.choices)
          if (index === 0) finishReason = finish_reason ?? finishReason;
        events.push({ type: 'chunk', chunk });
      }
      yield events;
    }
  } catch (error) {
    throw signal.aborted ? signal.reason : toBulkheadError(error);
  } finally {
    if (!isRead) await call.return();
  }
  const timings = { retrieve_ms: 0, generate_ms: monotonicNow() - start, first_token_ms: firstTokenMs };
  yield [
    {
      type: 'finished',
      finish_reason: finishReason,
      token_usage: usage,
      citations: [],
      chunk_ids: [],
      refusal_reason: null,
      timings,
    },
  ];
}
