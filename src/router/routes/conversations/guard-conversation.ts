import type { ConversationWithMessages } from '#app/schemas/conversation.ts';
import { guardCitationsWith } from '#router/guardrails/output/guard-citations.ts';

/**
 * A conversation as its answers were sent: what is stored is what the model wrote, and the policy may have changed since.
 */
export function guardConversation(
  conversation: ConversationWithMessages,
  redact: (text: string) => string,
): ConversationWithMessages {
  const guardCitations = guardCitationsWith(redact);
  return {
    ...conversation,
    title: redact(conversation.title),
    messages: conversation.messages.map((message) => ({
      ...message,
      content: redact(message.content),
      citations: guardCitations(message.citations),
    })),
  };
}
