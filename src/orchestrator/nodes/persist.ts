import { inSpan } from '#app/trace.ts';
import type { ConversationStore } from '#orchestrator/conversations/conversation-store.ts';
import { runtimeOf, type TurnConfig, type TurnState, type TurnUpdate } from '#orchestrator/turn-state.ts';

/**
 * Stores question and answer together, and only then says that the turn is finished. A turn that failed or was
 * left before this node stores nothing: half an answer in a conversation would be part of the next prompt.
 */
export const persist =
  ({ conversations }: { conversations: ConversationStore }) =>
  async (state: TurnState, config: TurnConfig): Promise<TurnUpdate> => {
    const { tenant, signal, emit } = runtimeOf(config);
    const { request, conversationId, answer, citations } = state;
    signal.throwIfAborted();
    if (request.persist && conversationId !== null) {
      await inSpan(tenant.trace, 'persist', () =>
        conversations.appendTurn(tenant, {
          conversationId,
          isNew: state.isNewConversation,
          userText: state.messages.at(-1)?.content ?? '',
          assistantText: answer.text,
          citations,
        }),
      );
    }
    emit({
      type: 'finished',
      finish_reason: answer.finishReason,
      token_usage: answer.usage,
      citations,
      chunk_ids: answer.chunkIds,
      refusal_reason: state.refusalReason,
      timings: state.timings,
    });
    return {};
  };
