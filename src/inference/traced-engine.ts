import type { TenantContext } from '#app/tenant-context.ts';
import { errorTypeOf, type Span } from '#app/trace.ts';
import type { ChunkBatch, GenerateRequest, InferenceEngine } from '#inference/inference-engine.ts';

/**
 * The engine with a span around each call, by the GenAI semantic conventions. `provider` is its `gen_ai.provider.name`. Where a
 * request is not traced, the call passes through as it is. Prompts and answers never become attributes.
 */
export function tracedEngine(engine: InferenceEngine, provider: string): InferenceEngine {
  return {
    name: engine.name,
    defaultModel: engine.defaultModel,
    ...(engine.contextTokens === undefined ? {} : { contextTokens: engine.contextTokens }),
    generate(context, request, signal) {
      if (context.trace.traceId === null) return engine.generate(context, request, signal);
      return tracedAnswer(engine, provider, context, request, signal);
    },
    listModels: (signal) => engine.listModels(signal),
    checkReady: (signal) => engine.checkReady(signal),
  };
}

async function* tracedAnswer(
  engine: InferenceEngine,
  provider: string,
  context: TenantContext,
  request: GenerateRequest,
  signal: AbortSignal,
): AsyncGenerator<ChunkBatch, void> {
  const { max_tokens, temperature, top_p, seed } = request.sampling;
  const span = context.trace.begin(`chat ${request.model}`, {
    kind: 'client',
    attributes: {
      'gen_ai.operation.name': 'chat',
      'gen_ai.provider.name': provider,
      'gen_ai.request.model': request.model,
      'gen_ai.request.max_tokens': max_tokens ?? undefined,
      'gen_ai.request.temperature': temperature ?? undefined,
      'gen_ai.request.top_p': top_p ?? undefined,
      'gen_ai.request.seed': seed ?? undefined,
    },
  });
  const onAttempt = (attempt: number) => {
    if (attempt > 1) span.event('bulkhead.engine.retry', { 'bulkhead.engine.attempt': attempt });
    request.onAttempt?.(attempt);
  };
  let isWhole = false;
  let isFirst = true;
  const startedAt = performance.now();
  try {
    for await (const chunks of engine.generate(context, { ...request, onAttempt, span }, signal)) {
      if (isFirst) {
        span.event('bulkhead.engine.first_chunk');
        span.set({ 'gen_ai.response.time_to_first_chunk': (performance.now() - startedAt) / 1_000 });
      }
      isFirst = false;
      describe(span, chunks);
      yield chunks;
    }
    isWhole = true;
  } catch (error) {
    isWhole = true;
    span.fail(signal.aborted ? 'cancelled' : errorTypeOf(error));
    throw error;
  } finally {
    // Its reader left before the end.
    if (!isWhole) span.fail('cancelled');
    span.end();
  }
}

/** What the chunks say of the answer as a whole: model, usage and how it ended. */
function describe(span: Span, chunks: ChunkBatch): void {
  for (const { model, usage, choices } of chunks) {
    if (usage) {
      span.set({
        'gen_ai.response.model': model,
        'gen_ai.usage.input_tokens': usage.prompt_tokens,
        'gen_ai.usage.output_tokens': usage.completion_tokens,
      });
    }
    const reasons = choices.flatMap(({ finish_reason }) => finish_reason ?? []);
    if (reasons.length > 0) span.set({ 'gen_ai.response.finish_reasons': reasons });
  }
}
