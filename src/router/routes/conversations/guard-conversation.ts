import type { TenantId } from '#app/ids.ts';
import { atOnce, inSlices } from '#app/in-slices.ts';
import type { ConversationWithMessages } from '#app/schemas/conversation.ts';
import { guardCitationsWith } from '#router/guardrails/output/guard-citations.ts';

/**
 * A conversation as its answers were sent: what is stored is what the model wrote, and the policy may have changed since.
 * Long ones, and long messages, take a while: throws the signal's reason where nobody waits any more.
 */
export const guardConversation = (
  conversation: ConversationWithMessages,
  redact: (text: string) => Generator<void, string>,
  { tenantId, signal }: Readonly<{ tenantId: TenantId; signal: AbortSignal }>,
): Promise<ConversationWithMessages> => inSlices(guardInSteps(conversation, redact), { tenantId, signal });

function* guardInSteps(
  conversation: ConversationWithMessages,
  redact: (text: string) => Generator<void, string>,
): Generator<void, ConversationWithMessages> {
  // A citation is a passage of some hundred words.
  const guardCitations = guardCitationsWith((text) => atOnce(redact(text)));
  const messages: ConversationWithMessages['messages'] = [];
  for (const message of conversation.messages) {
    const content = yield* redact(message.content);
    messages.push({ ...message, content, citations: guardCitations(message.citations) });
    yield;
  }
  return { ...conversation, title: yield* redact(conversation.title), messages };
}
