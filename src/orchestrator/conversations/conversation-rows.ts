import { z } from 'zod';
import {
  type Conversation,
  type ConversationMessage,
  conversationMessageSchema,
  conversationSchema,
} from '#app/schemas/conversation.ts';

/** Columns of a conversation, in the words of its schema. */
export const CONVERSATION_COLUMNS = 'conversation_id, title, message_count, created_at, updated_at';
export const MESSAGE_COLUMNS = 'message_id, role, content, citations, request_id, created_at';

/** A driver gives a date; the API speaks ISO 8601. */
const timestamp = z.date().transform((date) => date.toISOString());

const conversationRow = conversationSchema.extend({ created_at: timestamp, updated_at: timestamp });
const messageRow = conversationMessageSchema.extend({ created_at: timestamp });

export const toConversation = (row: unknown): Conversation => conversationRow.parse(row);
export const toMessage = (row: unknown): ConversationMessage => messageRow.parse(row);
