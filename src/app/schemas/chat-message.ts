import { z } from 'zod';

/** The message roles of the OpenAI chat API; `developer` is the newer word for `system`. */
export const chatRoleSchema = z.enum(['system', 'developer', 'user', 'assistant', 'tool']);

/** Parts of one content: as many as a request may have messages. */
const MAX_PARTS = 10_000;

const textPartSchema = z.looseObject({ type: z.literal('text'), text: z.string() });
const otherPartSchema = z.looseObject({ type: z.string() });

/** A chat message as OpenAI clients send it. Fields that we do not read pass through to the engine. */
export const chatMessageSchema = z.looseObject({
  role: chatRoleSchema,
  content: z
    .union([z.string(), z.array(z.union([textPartSchema, otherPartSchema])).max(MAX_PARTS), z.null()])
    .optional(),
  /** Clients send null for what they leave out. */
  name: z.string().nullish(),
});
export type ChatMessage = z.infer<typeof chatMessageSchema>;

/** All the text of a message: the string, or its text parts joined by newlines. */
export function textOfMessage(message: ChatMessage): string {
  const { content } = message;
  if (content === undefined || content === null) return '';
  if (typeof content === 'string') return content;
  return content
    .map((part) => ('text' in part && typeof part.text === 'string' ? part.text : ''))
    .filter((text) => text !== '')
    .join('\n');
}

/** The text of the newest user message, or '' where there is none. */
export function lastUserText(messages: readonly ChatMessage[]): string {
  const message = messages.findLast(({ role }) => role === 'user');
  return message === undefined ? '' : textOfMessage(message);
}
