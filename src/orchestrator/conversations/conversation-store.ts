import type { Database, Row, Transaction } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { type ConversationId, conversationIdSchema, newConversationId, newMessageId } from '#app/ids.ts';
import {
  type Conversation,
  type ConversationWithMessages,
  conversationSchema,
  conversationWithMessagesSchema,
} from '#app/schemas/conversation.ts';
import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import type { TenantContext } from '#app/tenant-context.ts';

/** A question and its answer, as they are stored. */
export type StoredTurn = Readonly<{ question: string; answer: string; citations: readonly Citation[] }>;

export type HistoryMessage = Readonly<{ role: 'user' | 'assistant'; content: string }>;

/** Conversations of one user of one tenant. Ids of others throw `not_found`, exactly as ids of nobody. */
export interface ConversationStore {
  list(context: TenantContext, page: PageRequest): Promise<Page<Conversation>>;
  get(context: TenantContext, id: ConversationId): Promise<ConversationWithMessages>;
  delete(context: TenantContext, id: ConversationId): Promise<void>;
  /** The newest messages, oldest first. Throws where the conversation is not the user's. */
  historyOf(context: TenantContext, id: ConversationId, limit: number): Promise<HistoryMessage[]>;
  /** Adds a turn, whole or not at all, to a conversation or, without an id, to a new one. */
  appendTurn(context: TenantContext, id: ConversationId | null, turn: StoredTurn): Promise<ConversationId>;
}

const TITLE_CHARACTERS = 80;
/** Messages that `get` returns; older ones are left out. */
const MAX_MESSAGES = 1_000;
/** A NUL cannot be stored in PostgreSQL's text, nor can half a surrogate pair. */
const storable = (text: string) => text.replaceAll('\0', '').toWellFormed();

const COLUMNS = 'conversation_id, title, message_count, created_at, updated_at';

export function createConversationStore({ database }: { database: Database }): ConversationStore {
  return {
    list: (context, { limit, after }) =>
      database.asUser(context, async (transaction) => {
        // An `after` that is no id of ours sorts somewhere or nowhere: it finds rows of the user or none.
        const rows = await transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.conversations
           WHERE tenant_id = $1 AND user_id = $2 AND ($3::text IS NULL OR conversation_id < $3)
           ORDER BY conversation_id DESC LIMIT $4`,
          [context.tenantId, context.userId, after ?? null, limit + 1],
        );
        return toPage(rows.map(toConversation), limit, (conversation) => conversation.conversation_id);
      }),

    get: (context, id) =>
      database.asUser(context, async (transaction) => {
        const conversation = await find(transaction, context, id);
        const rows = await transaction.query(
          `SELECT message_id, role, content, citations, request_id, created_at FROM bulkhead.messages
           WHERE tenant_id = $1 AND conversation_id = $2 ORDER BY ordinal DESC LIMIT $3`,
          [context.tenantId, id, MAX_MESSAGES],
        );
        const messages = rows.reverse().map((row) => ({ ...row, created_at: iso(row.created_at) }));
        return conversationWithMessagesSchema.parse({ ...conversation, messages });
      }),

    async delete(context, id) {
      const deleted = await database.asUser(context, (transaction) =>
        transaction.query(
          'DELETE FROM bulkhead.conversations WHERE tenant_id = $1 AND conversation_id = $2 RETURNING 1',
          [context.tenantId, id],
        ),
      );
      if (deleted.length === 0) throw notFound('conversation', 'conversation_id');
    },

    historyOf: (context, id, limit) =>
      database.asUser(context, async (transaction) => {
        await find(transaction, context, id);
        const rows = await transaction.query<{ role: 'user' | 'assistant'; content: string }>(
          `SELECT role, content FROM bulkhead.messages
           WHERE tenant_id = $1 AND conversation_id = $2 ORDER BY ordinal DESC LIMIT $3`,
          [context.tenantId, id, limit],
        );
        return rows.reverse();
      }),

    appendTurn: (context, id, turn) =>
      database.asUser(context, async (transaction) => {
        const conversationId = id ?? (await create(transaction, context, turn.question));
        // Updating the conversation's row locks it: of two turns at once, one waits, and ordinals stay unique.
        const [counted] = await transaction.query<{ message_count: number }>(
          `UPDATE bulkhead.conversations SET message_count = message_count + 2, updated_at = now()
           WHERE tenant_id = $1 AND conversation_id = $2 RETURNING message_count`,
          [context.tenantId, conversationId],
        );
        if (counted === undefined) throw notFound('conversation', 'conversation_id');
        const first = counted.message_count - 2;
        await insert(transaction, context, conversationId, {
          ordinal: first,
          role: 'user',
          content: turn.question,
          citations: [],
        });
        await insert(transaction, context, conversationId, {
          ordinal: first + 1,
          role: 'assistant',
          content: turn.answer,
          citations: turn.citations,
        });
        return conversationId;
      }),
  };
}

async function find(
  transaction: Transaction,
  context: TenantContext,
  id: ConversationId,
): Promise<Conversation> {
  const [row] = await transaction.query(
    `SELECT tenant_id, user_id, ${COLUMNS} FROM bulkhead.conversations WHERE tenant_id = $1 AND conversation_id = $2`,
    [context.tenantId, id],
  );
  if (row === undefined) throw notFound('conversation', 'conversation_id');
  // Row-level security has decided this already; if it ever did not, nothing leaves here.
  if (row.tenant_id !== context.tenantId || row.user_id !== context.userId) {
    throw new BulkheadError('internal_error', 'A conversation of somebody else was read.');
  }
  return toConversation(row);
}

async function create(
  transaction: Transaction,
  context: TenantContext,
  question: string,
): Promise<ConversationId> {
  const id = newConversationId();
  await transaction.query(
    'INSERT INTO bulkhead.conversations (tenant_id, conversation_id, user_id, title) VALUES ($1, $2, $3, $4)',
    [context.tenantId, id, context.userId, titleOf(question)],
  );
  return id;
}

async function insert(
  transaction: Transaction,
  context: TenantContext,
  conversationId: ConversationId,
  message: { ordinal: number; role: 'user' | 'assistant'; content: string; citations: readonly Citation[] },
): Promise<void> {
  await transaction.query(
    `INSERT INTO bulkhead.messages
       (tenant_id, conversation_id, message_id, user_id, ordinal, role, content, citations, request_id)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8::jsonb, $9)`,
    [
      context.tenantId,
      conversationId,
      newMessageId(),
      context.userId,
      message.ordinal,
      message.role,
      storable(message.content),
      JSON.stringify(message.citations),
      context.requestId,
    ],
  );
}

/** The beginning of the first question, on one line. */
export function titleOf(question: string): string {
  const line = storable(question).replace(/\s+/g, ' ').trim();
  const characters = [...line];
  if (characters.length <= TITLE_CHARACTERS) return line;
  return `${characters.slice(0, TITLE_CHARACTERS - 1).join('')}…`;
}

function toConversation(row: Row): Conversation {
  const { conversation_id, title, message_count } = row;
  return conversationSchema.parse({
    conversation_id: conversationIdSchema.parse(conversation_id),
    title,
    message_count,
    created_at: iso(row.created_at),
    updated_at: iso(row.updated_at),
  });
}

const iso = (value: unknown): string => (value instanceof Date ? value.toISOString() : String(value));
