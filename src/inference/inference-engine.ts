import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { ChatMessage } from '#app/schemas/chat-message.ts';
import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { Sampling } from '#app/schemas/turn.ts';
import type { EngineModel } from '#app/services/orchestrator-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Span } from '#app/trace.ts';

export type GenerateRequest = Readonly<{
  model: string;
  /** The whole prompt; on the route `rag` the sources are already quoted in it. */
  messages: readonly ChatMessage[];
  sampling: Sampling;
  /** The most tokens of each answer, where `sampling` names none: as far as the prompt leaves room for them. */
  answerLimit?: number;
  /** OpenAI parameters passed through as they are, tools among them; empty off the direct route. */
  engineParameters: Readonly<Record<string, unknown>>;
  /** The retrieved passages by number, for engines that read them apart from the prompt; null without retrieval. */
  sources: readonly Citation[] | null;
  /** On the route `rag`: the newest question as it stands alone, without the sources that the prompt quotes. */
  question?: string;
  /** Told before each try to have this answered: 1, then 2 where the first one failed. Must not throw. */
  onAttempt?: (attempt: number) => void;
  /** The span of this call, where the request is traced: what the engine does belongs under it. */
  span?: Span;
}>;

/** Chunks of an answer that came at once, in order; never empty. What a packet holds costs one turn of the queue, not one a token. */
export type ChunkBatch = readonly ChatCompletionChunk[];

/**
 * A server of language models, or the extractive engine that stands in for one. The stream's last chunk, or
 * the one after it with no choices, carries `usage`. Leaving the loop or aborting the signal ends the call.
 * Failures are BulkheadErrors with codes that begin with `engine_`, or `model_not_found`.
 */
export interface InferenceEngine {
  /** Shown to users in answers: `extractive`, or the server's kind. */
  readonly name: string;
  readonly defaultModel: string;
  /** Tokens of prompt and answer together that the default model takes; absent where there is no such limit. */
  readonly contextTokens?: number;
  generate(context: TenantContext, request: GenerateRequest, signal: AbortSignal): AsyncIterable<ChunkBatch>;
  listModels(signal: AbortSignal): Promise<readonly EngineModel[]>;
  /** Throws when the engine cannot answer. */
  checkReady(signal: AbortSignal): Promise<void>;
}
