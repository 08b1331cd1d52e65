import { z } from 'zod';
import { conversationIdSchema, messageIdSchema } from '#app/ids.ts';
import { citationSchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { pageOf } from '#app/schemas/page.ts';

export const conversationSchema = z.object({
  conversation_id: conversationIdSchema,
  title: z.string(),
  message_count: z.int().nonnegative(),
  created_at: z.string(),
  updated_at: z.string(),
});
export const conversationPageSchema = pageOf(conversationSchema);
export type Conversation = z.infer<typeof conversationSchema>;

export const conversationMessageSchema = z.object({
  message_id: messageIdSchema,
  role: z.enum(['user', 'assistant']),
  content: z.string(),
  citations: z.array(citationSchema),
  request_id: z.string(),
  created_at: z.string(),
});
export type ConversationMessage = z.infer<typeof conversationMessageSchema>;

export const conversationWithMessagesSchema = conversationSchema.extend({
  messages: z.array(conversationMessageSchema),
});
export type ConversationWithMessages = z.infer<typeof conversationWithMessagesSchema>;
