import { NO_TOKENS } from '#app/schemas/token-usage.ts';
import { GRAPH_ANSWER_TOKENS, NOT_IN_DOCUMENTS, type Sampling } from '#app/schemas/turn.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import { toCitations } from '#orchestrator/citations/visible-chunks.ts';
import { buildPrompt } from '#orchestrator/prompt/build-prompt.ts';
import { runtimeOf, type TurnConfig, type TurnState, type TurnUpdate } from '#orchestrator/turn-state.ts';

/** Has the engine answer, and lets its text out as it comes. Without any passage no engine is asked: it could only invent. */
export const generate =
  ({ engine, monotonicNow }: { engine: InferenceEngine; monotonicNow: () => number }) =>
  async ({ request, messages, question, chunks }: TurnState, config: TurnConfig): Promise<TurnUpdate> => {
    const { tenant, signal, emit, room } = runtimeOf(config);
    const start = monotonicNow();
    if (chunks !== null && chunks.length === 0) {
      emit({ type: 'delta', text: NOT_IN_DOCUMENTS });
      const answer = { text: NOT_IN_DOCUMENTS, finishReason: 'stop', usage: NO_TOKENS, chunkIds: [] };
      return { answer, timings: { generate_ms: monotonicNow() - start } };
    }

    const { sampling, budgetTokens } = fitSampling(request.sampling, engine.contextTokens);
    const prompt = buildPrompt({
      messages,
      sources: chunks === null ? null : toCitations(chunks),
      budgetTokens,
    });
    const text: string[] = [];
    let finishReason = 'stop';
    let usage = NO_TOKENS;
    let firstTokenMs: number | null = null;
    const stream = engine.generate(
      tenant,
      {
        model: request.model ?? engine.defaultModel,
        messages: prompt.messages,
        sampling,
        engineParameters: {},
        sources: prompt.sources,
        ...(chunks === null ? {} : { question }),
        onAttempt: (attempts) => emit({ type: 'asked', attempts }),
      },
      signal,
    );
    for await (const chunks of stream) {
      for (const chunk of chunks) {
        usage = chunk.usage ?? usage;
        const choice = chunk.choices.find(({ index }) => index === 0);
        finishReason = choice?.finish_reason ?? finishReason;
        const piece = choice?.delta.content;
        if (typeof piece !== 'string' || piece === '') continue;
        firstTokenMs ??= monotonicNow() - start;
        text.push(piece);
        emit({ type: 'delta', text: piece, ...(chunk.usage ? { token_usage: chunk.usage } : {}) });
      }
      await room();
    }
    return {
      answer: {
        text: text.join(''),
        finishReason,
        usage,
        chunkIds: (prompt.sources ?? []).map(({ chunk_id }) => chunk_id),
      },
      timings: { generate_ms: monotonicNow() - start, first_token_ms: firstTokenMs },
    };
  };

/** At most half of the context is kept for the answer; the rest is for the prompt. */
function fitSampling(
  sampling: Sampling,
  contextTokens: number | undefined,
): { sampling: Sampling; budgetTokens: number } {
  if (contextTokens === undefined) return { sampling, budgetTokens: Number.POSITIVE_INFINITY };
  const wanted = sampling.max_tokens ?? GRAPH_ANSWER_TOKENS;
  const max_tokens = Math.min(wanted, Math.floor(contextTokens / 2));
  return { sampling: { ...sampling, max_tokens }, budgetTokens: contextTokens - max_tokens };
}
