import type { TenantId } from '#app/ids.ts';
import type { ConversationWithMessages } from '#app/schemas/conversation.ts';
import { turnOfTenant } from '#app/turn-of-tenant.ts';
import { guardCitationsWith } from '#router/guardrails/output/guard-citations.ts';

/** Guarding this long, other requests get their turn. */
const SLICE_MS = 5;

/**
 * A conversation as its answers were sent: what is stored is what the model wrote, and the policy may have changed since.
 * Long ones take a while: throws the signal's reason where nobody waits any more.
 */
export async function guardConversation(
  conversation: ConversationWithMessages,
  redact: (text: string) => string,
  { tenantId, signal }: Readonly<{ tenantId: TenantId; signal: AbortSignal }>,
): Promise<ConversationWithMessages> {
  const guardCitations = guardCitationsWith(redact);
  const messages: ConversationWithMessages['messages'] = [];
  let sliceStart = performance.now();
  for (const message of conversation.messages) {
    messages.push({
      ...message,
      content: redact(message.content),
      citations: guardCitations(message.citations),
    });
    if (performance.now() - sliceStart <= SLICE_MS) continue;
    await turnOfTenant(tenantId);
    signal.throwIfAborted();
    sliceStart = performance.now();
  }
  return { ...conversation, title: redact(conversation.title), messages };
}
