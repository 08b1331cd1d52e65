import type { Database, Transaction } from '#app/database/database.ts';
import { notFound } from '#app/errors/bulkhead-error.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';
import { type ConversationId, conversationIdSchema, newMessageId } from '#app/ids.ts';
import type {
  Conversation,
  ConversationMessage,
  ConversationWithMessages,
} from '#app/schemas/conversation.ts';
import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import {
  CONVERSATION_COLUMNS,
  MESSAGE_COLUMNS,
  toConversation,
  toMessage,
} from '#orchestrator/conversations/conversation-rows.ts';
import { conversationTitle } from '#orchestrator/conversations/conversation-title.ts';
import { storableText } from '#orchestrator/conversations/storable-text.ts';

/** The newest messages that `get` shows; `message_count` tells how many there are. */
export const MAX_MESSAGES_SHOWN = 1_000;
/** Of these, as many as are no longer than this, in bytes, and the one that goes beyond it: the answer is made in memory. */
const MAX_BYTES_SHOWN = 4_194_304;

export type StoredTurn = Readonly<{
  conversationId: ConversationId;
  /** Begins the conversation; without it the conversation must still be there. */
  isNew: boolean;
  userText: string;
  assistantText: string;
  citations: readonly Citation[];
}>;

/** One user's conversations. An id of another user or tenant is answered as one that never was. */
export interface ConversationStore {
  /** Newest first. */
  list(context: TenantContext, page: PageRequest): Promise<Page<Conversation>>;
  get(context: TenantContext, conversationId: ConversationId): Promise<ConversationWithMessages>;
  delete(context: TenantContext, conversationId: ConversationId): Promise<void>;
  /** The newest messages, oldest of them first. */
  recentMessages(
    context: TenantContext,
    conversationId: ConversationId,
    limit: number,
  ): Promise<readonly ConversationMessage[]>;
  /** Both messages of a turn or neither. Throws `not_found` where the conversation is gone. */
  appendTurn(context: TenantContext, turn: StoredTurn): Promise<void>;
}

/** Every statement names tenant and user, although row-level security would hide other rows anyway. */
export function createConversationStore({ database }: { database: Database }): ConversationStore {
  return {
    async list(context, { limit, after }) {
      const cursor = after === undefined ? null : parseRequest(conversationIdSchema, after, 'after');
      const rows = await database.asUser(context, (transaction) =>
        transaction.query(
          `SELECT ${CONVERSATION_COLUMNS} FROM bulkhead.conversations
           WHERE tenant_id = $1 AND user_id = $2 AND ($3::text IS NULL OR conversation_id < $3)
           ORDER BY conversation_id DESC LIMIT $4`,
          [context.tenantId, context.userId, cursor, limit + 1],
        ),
      );
      return toPage(rows.map(toConversation), limit, ({ conversation_id }) => conversation_id);
    },

    get: (context, conversationId) =>
      database.asUser(context, async (transaction) => {
        const conversation = await findOwned(transaction, context, conversationId);
        const messages = await newestMessages(transaction, context, conversationId, MAX_MESSAGES_SHOWN);
        return { ...conversation, messages };
      }),

    async delete(context, conversationId) {
      await database.asUser(context, async (transaction) => {
        await findOwned(transaction, context, conversationId);
        // The messages go with it by their foreign key.
        await transaction.query(
          `DELETE FROM bulkhead.conversations WHERE tenant_id = $1 AND user_id = $2 AND conversation_id = $3`,
          [context.tenantId, context.userId, conversationId],
        );
      });
    },

    recentMessages: (context, conversationId, limit) =>
      database.asUser(context, async (transaction) => {
        await findOwned(transaction, context, conversationId);
        return newestMessages(transaction, context, conversationId, limit);
      }),

    async appendTurn(context, turn) {
      const { tenantId, userId, requestId } = context;
      await database.asUser(context, async (transaction) => {
        const first = await takeOrdinals(transaction, context, turn);
        const messages = [
          { role: 'user', content: turn.userText, citations: [] },
          { role: 'assistant', content: turn.assistantText, citations: turn.citations },
        ];
        for (const [offset, { role, content, citations }] of messages.entries()) {
          await transaction.query(
            `INSERT INTO bulkhead.messages
               (tenant_id, conversation_id, message_id, user_id, ordinal, role, content, citations, request_id)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)`,
            [
              tenantId,
              turn.conversationId,
              newMessageId(),
              userId,
              first + offset,
              role,
              storableText(content),
              toJsonb(citations),
              requestId,
            ],
          );
        }
      });
    },
  };
}

async function findOwned(
  transaction: Transaction,
  { tenantId, userId }: TenantContext,
  conversationId: ConversationId,
): Promise<Conversation> {
  const [row] = await transaction.query(
    `SELECT ${CONVERSATION_COLUMNS} FROM bulkhead.conversations
     WHERE tenant_id = $1 AND user_id = $2 AND conversation_id = $3`,
    [tenantId, userId, conversationId],
  );
  if (row === undefined) throw notFound('conversation', 'conversation_id');
  return toConversation(row);
}

async function newestMessages(
  transaction: Transaction,
  { tenantId, userId }: TenantContext,
  conversationId: ConversationId,
  limit: number,
): Promise<ConversationMessage[]> {
  const rows = await transaction.query(
    `SELECT ${MESSAGE_COLUMNS} FROM (
       SELECT ${MESSAGE_COLUMNS}, ordinal, sum(octet_length(content) + octet_length(citations::text)) OVER (
                ORDER BY ordinal DESC ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newer_bytes
         FROM (SELECT ${MESSAGE_COLUMNS}, ordinal FROM bulkhead.messages
                WHERE tenant_id = $1 AND user_id = $2 AND conversation_id = $3
                ORDER BY ordinal DESC LIMIT $4) AS newest) AS measured
     WHERE coalesce(newer_bytes, 0) <= $5 ORDER BY ordinal DESC`,
    [tenantId, userId, conversationId, limit, MAX_BYTES_SHOWN],
  );
  return rows.map(toMessage).reverse();
}

/**
 * Reserves the places of two messages and returns the first. The row's lock makes turns that end together take
 * their places one after the other.
 */
async function takeOrdinals(
  transaction: Transaction,
  { tenantId, userId }: TenantContext,
  { conversationId, isNew, userText }: StoredTurn,
): Promise<number> {
  if (isNew) {
    await transaction.query(
      `INSERT INTO bulkhead.conversations (tenant_id, conversation_id, user_id, title, message_count, collections)
       VALUES ($1, $2, $3, $4, 2, bulkhead.current_collections())`,
      [tenantId, conversationId, userId, conversationTitle(storableText(userText))],
    );
    return 0;
  }
  const [row] = await transaction.query<{ message_count: number }>(
    `UPDATE bulkhead.conversations SET message_count = message_count + 2, updated_at = now(),
            -- What is answered from now on may rest on all that this caller reaches.
            collections = (SELECT CASE WHEN bulkhead.current_collections() IS NOT NULL AND collections IS NOT NULL
                                       THEN array_agg(DISTINCT name) END
                             FROM unnest(collections || bulkhead.current_collections()) AS name)
     WHERE tenant_id = $1 AND user_id = $2 AND conversation_id = $3 RETURNING message_count`,
    [tenantId, userId, conversationId],
  );
  // Deleted while its answer was written: it stays deleted.
  if (row === undefined) throw notFound('conversation', 'conversation_id');
  return row.message_count - 2;
}

/** JSON with every text made storable: passages come from files, and may be cut inside a surrogate pair. */
const toJsonb = (value: unknown): string =>
  JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'string' ? storableText(inner) : inner));
