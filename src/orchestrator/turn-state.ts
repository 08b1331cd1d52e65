import { Annotation, type LangGraphRunnableConfig } from '@langchain/langgraph';
import type { ConversationId } from '#app/ids.ts';
import type { Citation, RetrievedChunk } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { TokenUsage } from '#app/schemas/token-usage.ts';
import type { TurnEvent, TurnFinished, TurnRequest } from '#app/schemas/turn.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { PlainMessage } from '#orchestrator/prompt/plain-messages.ts';

/** What the engine wrote. */
export type Answer = {
  text: string;
  finishReason: string;
  usage: TokenUsage;
  /** Chunks that the engine was given. */
  chunkIds: string[];
};

/**
 * What a turn knows, as plain JSON: the graph's own revival of stored state would call constructors that it names.
 * Each field is written by one node, named beside it.
 */
export const TurnState = Annotation.Root({
  request: Annotation<TurnRequest>,
  /** guardInput: null where nothing is stored or continued. */
  conversationId: Annotation<ConversationId | null>,
  /** guardInput */
  isNewConversation: Annotation<boolean>,
  /** guardInput: the conversation so far and the new message, the question last. */
  messages: Annotation<PlainMessage[]>,
  /** guardInput: the question as it stands alone. */
  question: Annotation<string>,
  /** chooseRoute */
  route: Annotation<'chat' | 'rag'>,
  /** retrieve: null on the route `chat`. */
  chunks: Annotation<RetrievedChunk[] | null>,
  /** generate */
  answer: Annotation<Answer>,
  /** guardOutput */
  citations: Annotation<Citation[]>,
  /** guardOutput */
  refusalReason: Annotation<string | null>,
  /** retrieve and generate, milliseconds. */
  timings: Annotation<TurnFinished['timings'], Partial<TurnFinished['timings']>>({
    reducer: (known, news) => ({ ...known, ...news }),
    default: () => ({ retrieve_ms: 0, generate_ms: 0, first_token_ms: null }),
  }),
});
export type TurnState = typeof TurnState.State;
export type TurnUpdate = typeof TurnState.Update;

/** What is not state: whose turn it is, and where its events go. The tenant is passed by reference, because forwarded tokens are tied to it. */
export const TurnRuntime = Annotation.Root({
  tenant: Annotation<TenantContext>,
  emit: Annotation<(event: TurnEvent) => void>,
  /** Resolves when the reader has taken enough of what was let out: a node that lets out much waits for it. */
  room: Annotation<() => Promise<void>>,
});
export type TurnRuntime = typeof TurnRuntime.State;
export type TurnConfig = LangGraphRunnableConfig<TurnRuntime>;

/** What a node works with beside the state. Throws where the graph was run without it, which is a bug. */
export function runtimeOf({ context, signal }: TurnConfig): TurnRuntime & { signal: AbortSignal } {
  if (context === undefined || signal === undefined) {
    throw new Error('The turn graph is run with a context and a signal.');
  }
  return { ...context, signal };
}
