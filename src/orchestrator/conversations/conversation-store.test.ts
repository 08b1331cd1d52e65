import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { newConversationId } from '#app/ids.ts';
import {
  type ConversationStore,
  createConversationStore,
  titleOf,
} from '#orchestrator/conversations/conversation-store.ts';
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
const turn = (question: string) => ({ question, answer: `Answer to ${question}`, citations: [] });

describe('conversations', () => {
  it('keep turns in order, with a title from the first question', async () => {
    const id = await store.appendTurn(alice, null, turn('First   question?\nWith a second line'));
    expect(await store.appendTurn(alice, id, turn('Second?'))).toBe(id);
    const conversation = await store.get(alice, id);
    expect(conversation).toMatchObject({ title: 'First question? With a second line', message_count: 4 });
    expect(conversation.messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    expect(conversation.messages[3]).toMatchObject({
      content: 'Answer to Second?',
      request_id: alice.requestId,
    });
    expect(await store.historyOf(alice, id, 3)).toEqual([
      { role: 'assistant', content: 'Answer to First   question?\nWith a second line' },
      { role: 'user', content: 'Second?' },
      { role: 'assistant', content: 'Answer to Second?' },
    ]);
  });

  it.each(strangers)('of alice do not exist for %s', async (_who, stranger) => {
    const id = await store.appendTurn(alice, null, turn('Secret?'));
    const missing = newConversationId();
    const errorOf = (attempt: Promise<unknown>) =>
      attempt.then(
        () => 'no error',
        ({ code, message }) => ({ code, message }),
      );
    for (const attempt of [
      (target: typeof id) => store.get(stranger, target),
      (target: typeof id) => store.historyOf(stranger, target, 10),
      (target: typeof id) => store.appendTurn(stranger, target, turn('Mine now?')),
      (target: typeof id) => store.delete(stranger, target),
    ]) {
      const foreign = await errorOf(attempt(id));
      expect(foreign).toMatchObject({ code: 'not_found' });
      expect(foreign).toEqual(await errorOf(attempt(missing)));
    }
    expect((await store.list(stranger, { limit: 100 })).data).toEqual([]);
    expect((await store.get(alice, id)).message_count).toBe(2);
  });

  it('take two turns at once without losing or mixing any', async () => {
    const id = await store.appendTurn(alice, null, turn('Start?'));
    await Promise.all(
      Array.from({ length: 8 }, (_, i) => store.appendTurn(alice, id, turn(`Question ${i}?`))),
    );
    const { messages, message_count } = await store.get(alice, id);
    expect(message_count).toBe(18);
    for (let i = 0; i < messages.length; i += 2) {
      expect(messages[i + 1]?.content).toBe(`Answer to ${messages[i]?.content}`);
    }
  });

  it('are listed newest first, a page at a time', async () => {
    const dave = testContext('acme', 'dave');
    const ids = [];
    for (let i = 0; i < 5; i++) ids.push(await store.appendTurn(dave, null, turn(`Question ${i}?`)));
    const first = await store.list(dave, { limit: 3 });
    const second = await store.list(dave, { limit: 3, after: first.last_id ?? '' });
    const listed = [...first.data, ...second.data].map(({ conversation_id }) => conversation_id);
    expect([first.has_more, second.has_more]).toEqual([true, false]);
    expect(new Set(listed)).toEqual(new Set(ids));
    expect(listed).toEqual([...listed].sort().reverse());
  });

  it('go away with their messages', async () => {
    const id = await store.appendTurn(alice, null, turn('Forget me?'));
    await store.delete(alice, id);
    await expect(store.get(alice, id)).rejects.toMatchObject({ code: 'not_found' });
    const rows = await open.database.asTenant(alice, (transaction) =>
      transaction.query('SELECT 1 FROM bulkhead.messages WHERE conversation_id = $1', [id]),
    );
    expect(rows).toEqual([]);
  });

  it('keep text that PostgreSQL cannot hold, without what it cannot hold', async () => {
    const id = await store.appendTurn(alice, null, turn('NUL \0 and half \ud800 a pair'));
    expect((await store.get(alice, id)).messages[0]?.content).toBe('NUL  and half \ufffd a pair');
  });
});

describe('a title', () => {
  it('is cut between characters, not within one', () => {
    const title = titleOf('😀'.repeat(200));
    expect([...title]).toHaveLength(80);
    expect(title.isWellFormed()).toBe(true);
  });
});
