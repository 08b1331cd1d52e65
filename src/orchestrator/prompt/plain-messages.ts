import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type ChatMessage, textOfMessage } from '#app/schemas/chat-message.ts';
import type { ConversationMessage } from '#app/schemas/conversation.ts';

/** A message of the graph's routes: text alone. */
export type PlainMessage = { role: 'system' | 'user' | 'assistant'; content: string };

/**
 * A client's messages as text. Tools are not offered on these routes, so their messages are left out; content
 * that is no text cannot be read, and is refused rather than dropped. Throws unless the last one is a question.
 */
export function plainMessages(messages: readonly ChatMessage[]): PlainMessage[] {
  const plain = messages.flatMap((message, index): PlainMessage[] => {
    const { role, content } = message;
    const foreign = Array.isArray(content) ? content.findIndex(({ type }) => type !== 'text') : -1;
    if (foreign >= 0) {
      const param = `messages.${index}.content.${foreign}`;
      throw new BulkheadError('invalid_request', `${param}: only text is read on this route`, { param });
    }
    if (role === 'tool') return [];
    const text = textOfMessage(message);
    if (text.trim() === '') return [];
    return [{ role: role === 'developer' ? 'system' : role, content: text }];
  });
  if (messages.at(-1)?.role !== 'user' || plain.at(-1)?.role !== 'user') {
    const param = `messages.${messages.length - 1}`;
    throw new BulkheadError('invalid_request', `${param}: must be a message of the user, with text`, {
      param,
    });
  }
  return plain;
}

export const fromStored = ({ role, content }: ConversationMessage): PlainMessage => ({ role, content });
