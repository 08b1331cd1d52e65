import { type ConversationId, newConversationId } from '#app/ids.ts';
import { untilAborted } from '#app/until-aborted.ts';
import { standaloneQuestion } from '#inference/extractive/standalone-question.ts';
import type { InferenceEngine } from '#inference/inference-engine.ts';
import type { ConversationStore } from '#orchestrator/conversations/conversation-store.ts';
import { fromStored, type PlainMessage, plainMessages } from '#orchestrator/prompt/plain-messages.ts';
import { runtimeOf, type TurnConfig, type TurnState, type TurnUpdate } from '#orchestrator/turn-state.ts';

/** Messages of a conversation that a prompt could hold; what fits is decided when it is built. */
const HISTORY_MESSAGES = 40;

/**
 * Reads the question and, after checking whose it is, the conversation. Only then is the turn `started`: an error
 * before it means that nothing was done.
 */
export const guardInput =
  ({ conversations, engine }: { conversations: ConversationStore; engine: InferenceEngine }) =>
  async ({ request }: TurnState, config: TurnConfig): Promise<TurnUpdate> => {
    const { tenant, signal, emit } = runtimeOf(config);
    const asked = plainMessages(request.messages);
    const continued = request.conversation_id;
    const stored =
      continued === undefined
        ? []
        : await untilAborted(conversations.recentMessages(tenant, continued, HISTORY_MESSAGES), signal);
    const messages: PlainMessage[] = [...stored.map(fromStored), ...asked];
    const conversationId: ConversationId | null = continued ?? (request.persist ? newConversationId() : null);
    emit({
      type: 'started',
      conversation_id: conversationId,
      route: request.route,
      model: request.model ?? engine.defaultModel,
      engine: engine.name,
    });
    return {
      conversationId,
      isNewConversation: continued === undefined,
      messages,
      question: standaloneQuestion(messages),
    };
  };
