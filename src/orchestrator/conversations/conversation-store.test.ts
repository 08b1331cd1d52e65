import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { type ConversationId, chunkIdSchema, documentIdSchema, newConversationId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import {
  type ConversationStore,
  createConversationStore,
} from '#orchestrator/conversations/conversation-store.ts';
import { conversationTitle } from '#orchestrator/conversations/conversation-title.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';

let open: OpenDatabase;
let store: ConversationStore;

beforeAll(async () => {
  open = await createTestDatabase();
  for (const tenantId of ['acme', 'globex']) await insertTestTenant(open.database, tenantId);
  store = createConversationStore({ database: open.database });
});
afterAll(() => open.database.close());

const alice = testContext('acme', 'alice');
const strangers = [
  ['a user of another tenant with the same name', testContext('globex', 'alice')],
  ['another user of the tenant', testContext('acme', 'bob')],
  ['an admin of the tenant', testContext('acme', 'carol', 'admin')],
] as const;
/** Adds a turn to a conversation, or to a new one, whose id is returned. */
async function append(
  context: TenantContext,
  id: ConversationId | null,
  question: string,
): Promise<ConversationId> {
  const conversationId = id ?? newConversationId();
  await store.appendTurn(context, {
    conversationId,
    isNew: id === null,
    userText: question,
    assistantText: `Answer to ${question}`,
    citations: [],
  });
  return conversationId;
}

describe('conversations', () => {
  it('keep turns in order, with a title from the first question', async () => {
    const id = await append(alice, null, 'First   question?\nWith a second line');
    expect(await append(alice, id, 'Second?')).toBe(id);
    const conversation = await store.get(alice, id);
    expect(conversation).toMatchObject({ title: 'First question? With a second line', message_count: 4 });
    expect(conversation.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect(conversation.messages[3]).toMatchObject({
      content: 'Answer to Second?',
      request_id: alice.requestId,
    });
    const recent = await store.recentMessages(alice, id, 3);
    expect(recent.map(({ role, content }) => ({ role, content }))).toEqual([
      { role: 'assistant', content: 'Answer to First   question?\nWith a second line' },
      { role: 'user', content: 'Second?' },
      { role: 'assistant', content: 'Answer to Second?' },
    ]);
  });

  it.each(strangers)('of alice do not exist for %s', async (_who, stranger) => {
    const id = await append(alice, null, 'Secret?');
    const missing = newConversationId();
    const errorOf = (attempt: Promise<unknown>) =>
      attempt.then(
        () => 'no error',
        ({ code, message }) => ({ code, message }),
      );
    for (const attempt of [
      (target: typeof id) => store.get(stranger, target),
      (target: typeof id) => store.recentMessages(stranger, target, 10),
      (target: typeof id) => append(stranger, target, 'Mine now?'),
      (target: typeof id) => store.delete(stranger, target),
    ]) {
      const foreign = await errorOf(attempt(id));
      expect(foreign).toMatchObject({ code: 'not_found' });
      expect(foreign).toEqual(await errorOf(attempt(missing)));
    }
    expect((await store.list(stranger, { limit: 100 })).data).toEqual([]);
    expect((await store.get(alice, id)).message_count).toBe(2);
  });

  it('are shown from their end, as much as fits into an answer', async () => {
    const megabyte = 'ä'.repeat(512 * 1_024);
    const id = await append(alice, null, `0 ${megabyte}`);
    for (let nth = 1; nth < 6; nth++) await append(alice, id, `${nth} ${megabyte}`);
    const { message_count, messages } = await store.get(alice, id);
    expect(message_count).toBe(12);
    // Three are within the bound, and the fourth goes beyond it.
    expect(messages.map(({ role, content }) => `${role} ${/\d/.exec(content)}`)).toEqual([
      'user 4',
      'assistant 4',
      'user 5',
      'assistant 5',
    ]);
    expect((await store.recentMessages(alice, id, 2)).map(({ role }) => role)).toEqual(['user', 'assistant']);
  });

  it('take two turns at once without losing or mixing any', async () => {
    const id = await append(alice, null, 'Start?');
    await Promise.all(Array.from({ length: 8 }, (_, i) => append(alice, id, `Question ${i}?`)));
    const { messages, message_count } = await store.get(alice, id);
    expect(message_count).toBe(18);
    for (let i = 0; i < messages.length; i += 2) {
      expect(messages[i + 1]?.content).toBe(`Answer to ${messages[i]?.content}`);
    }
  });

  it('are listed newest first, a page at a time', async () => {
    const dave = testContext('acme', 'dave');
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push(await append(dave, null, `Question ${i}?`));
    const first = await store.list(dave, { limit: 3 });
    const second = await store.list(dave, { limit: 3, after: first.last_id ?? '' });
    const listed = [...first.data, ...second.data].map(({ conversation_id }) => conversation_id);
    expect([first.has_more, second.has_more]).toEqual([true, false]);
    expect(new Set(listed)).toEqual(new Set(ids));
    expect(listed).toEqual([...listed].sort().reverse());
  });

  it('go away with their messages', async () => {
    const id = await append(alice, null, 'Forget me?');
    await store.delete(alice, id);
    await expect(store.get(alice, id)).rejects.toMatchObject({ code: 'not_found' });
    const rows = await open.database.asTenant(alice, (transaction) =>
      transaction.query('SELECT 1 FROM bulkhead.messages WHERE conversation_id = $1', [id]),
    );
    expect(rows).toEqual([]);
  });

  it('keep text that PostgreSQL cannot hold, without what it cannot hold', async () => {
    const id = await append(alice, null, 'NUL \0 and half \ud800 a pair');
    expect((await store.get(alice, id)).messages[0]?.content).toBe('NUL  and half \ufffd a pair');
  });

  it('keep citations whose passages hold what PostgreSQL cannot', async () => {
    const conversationId = newConversationId();
    const documentId = documentIdSchema.parse(`doc_${'0'.repeat(26)}`);
    await store.appendTurn(alice, {
      conversationId,
      isNew: true,
      userText: 'What?',
      assistantText: 'That [1].',
      citations: [
        {
          index: 1,
          chunk_id: chunkIdSchema.parse(`${documentId}-0`),
          document_id: documentId,
          title: 'Title',
          heading_path: ['A \0 heading'],
          page: null,
          start_offset: 0,
          end_offset: 8,
          text: 'cut \ud83d',
          score: 0.5,
        },
      ],
    });
    const { messages } = await store.get(alice, conversationId);
    expect(messages[1]?.citations[0]).toMatchObject({ heading_path: ['A  heading'], text: 'cut \ufffd' });
  });

  it('refuse a page that begins at no id', async () => {
    await expect(store.list(alice, { limit: 1, after: "' OR true --" })).rejects.toMatchObject({
      code: 'invalid_request',
      param: 'after',
    });
  });

  it('that were deleted stay deleted when an answer comes late', async () => {
    const id = await append(alice, null, 'Still there?');
    await store.delete(alice, id);
    await expect(append(alice, id, 'And now?')).rejects.toMatchObject({ code: 'not_found' });
    await expect(store.get(alice, id)).rejects.toMatchObject({ code: 'not_found' });
  });
});

describe('a title', () => {
  it('is cut between characters, not within one', () => {
    const title = conversationTitle('😀'.repeat(200));
    expect([...title]).toHaveLength(80);
    expect(conversationTitle(' \n ')).toBe('Conversation');
    expect(title.isWellFormed()).toBe(true);
  });
});
