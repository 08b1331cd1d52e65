import { randomUUID } from 'node:crypto';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import { textOfMessage } from '#app/schemas/chat-message.ts';
import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { NOT_IN_DOCUMENTS, type Sampling } from '#app/schemas/turn.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { composeAnswer } from '#inference/extractive/compose-answer.ts';
import { countTokensCooperatively } from '#inference/extractive/count-tokens.ts';
import { ANSWER_THRESHOLD, answerConfidence } from '#inference/extractive/judge-answerable.ts';
import { rankUnits } from '#inference/extractive/rank-units.ts';
import { standaloneQuestion } from '#inference/extractive/standalone-question.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';

export const EXTRACTIVE_MODEL = 'bulkhead-extractive';

/** The whole answer without retrieval: there is nothing to quote from. */
export const NEEDS_DOCUMENTS =
  'The extractive engine only quotes from documents: ask the model bulkhead-rag, or set INFERENCE_BASE_URL to have a language model answer.';

/** 2026-01-01, for the model list; the engine is not trained, so the date says nothing more. */
const MODEL_CREATED = 1_767_225_600;

export type ExtractiveEngineOptions = Readonly<{
  embedder: Embedder;
  /** Milliseconds since 1970. */
  now?: () => number;
}>;

/**
 * Answers in sentences quoted from the retrieved passages, each with its source's number, and writes none of its
 * own. It keeps nothing between calls, so nothing of one tenant can reach another through it.
 */
export function createExtractiveEngine({
  embedder,
  now = Date.now,
}: ExtractiveEngineOptions): InferenceEngine {
  return {
    name: 'extractive',
    defaultModel: EXTRACTIVE_MODEL,
    async *generate({ tenantId }, { model, messages, sampling, sources, question, onAttempt }, signal) {
      onAttempt?.(1);
      if (model !== EXTRACTIVE_MODEL) {
        throw new BulkheadError('model_not_found', `The extractive engine has no model ${model}.`, {
          param: 'model',
        });
      }
      signal.throwIfAborted();
      const promptTokens = await countTokensCooperatively(messages.map(textOfMessage), embedder, {
        tenantId,
        signal,
      });
      const answer =
        sources === null
          ? NEEDS_DOCUMENTS
          : await answerFrom(question ?? standaloneQuestion(messages), sources, embedder, {
              tenantId,
              signal,
            });
      const { pieces, finishReason, completionTokens } = cutToSampling(answer, sampling, embedder);

      const common = {
        id: `chatcmpl-${randomUUID()}`,
        object: 'chat.completion.chunk' as const,
        created: Math.floor(now() / 1_000),
        model,
      };
      const chunk = (
        delta: ChatCompletionChunk['choices'][number]['delta'],
        finish: string | null = null,
      ) => [{ ...common, choices: [{ index: 0, delta, finish_reason: finish }] }];
      yield chunk({ role: 'assistant', content: '' });
      for (const content of pieces) {
        signal.throwIfAborted();
        yield chunk({ content });
      }
      yield chunk({}, finishReason);
      const usage = {
        prompt_tokens: promptTokens,
        completion_tokens: completionTokens,
        total_tokens: promptTokens + completionTokens,
      };
      yield [{ ...common, choices: [], usage }];
    },
    async listModels() {
      return [{ id: EXTRACTIVE_MODEL, owned_by: 'bulkhead', created: MODEL_CREATED }];
    },
    async checkReady(signal) {
      await embedder.embedQuery('ready', signal);
    },
  };
}

async function answerFrom(
  question: string,
  sources: readonly Citation[],
  embedder: Embedder,
  turn: Readonly<{ tenantId: string; signal: AbortSignal }>,
): Promise<string> {
  if (question === '' || sources.length === 0) return NOT_IN_DOCUMENTS;
  const ranked = await rankUnits(question, sources, embedder, turn);
  if (answerConfidence(ranked) < ANSWER_THRESHOLD) return NOT_IN_DOCUMENTS;
  return composeAnswer(question, ranked) || NOT_IN_DOCUMENTS;
}

type CutAnswer = { pieces: string[]; finishReason: 'stop' | 'length'; completionTokens: number };

/** The answer word by word, up to the first stop sequence and to `max_tokens`. Tokens never span white space, so words add up. */
function cutToSampling(answer: string, { stop, max_tokens }: Sampling, embedder: Embedder): CutAnswer {
  const stops = [stop ?? []].flat().filter((sequence) => sequence !== '');
  const ends = stops.map((sequence) => answer.indexOf(sequence)).filter((place) => place >= 0);
  const whole = answer.slice(0, Math.min(answer.length, ...ends));
  const pieces: string[] = [];
  let completionTokens = 0;
  for (const [piece] of whole.matchAll(/\s*\S+/g)) {
    const tokens = embedder.countTokens(piece);
    if (completionTokens + tokens > (max_tokens ?? Number.POSITIVE_INFINITY)) {
      return { pieces, finishReason: 'length', completionTokens };
    }
    completionTokens += tokens;
    pieces.push(piece);
  }
  return { pieces, finishReason: 'stop', completionTokens };
}
