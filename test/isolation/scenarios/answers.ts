import { beforeAll, describe, expect, it } from 'vitest';
import { at, call, listAt, type ServerEvent, streamEvents, textAt } from '../../support/http-client.ts';
import { FACTS, type Fact, NOT_IN_DOCUMENTS, type SeededPlatform } from '../../support/seeded-platform.ts';

/** Whom a fact belongs to, who asks for it, and who must learn nothing of it. */
type Trial = { what: string; fact: Fact; owner: string; stranger: string };

/**
 * What one user's documents answer gives another nothing but “not in your documents”, by whatever door they come:
 * between two tenants, and between two users of one tenant where the document is private.
 */
export function describeAnswers(seeded: () => SeededPlatform): void {
  describe('answers', () => {
    let url: string;
    let trials: Trial[];
    beforeAll(() => {
      const { platform, keys } = seeded();
      url = platform.url;
      trials = [
        { what: 'acme’s private, to globex', fact: FACTS.alice, owner: keys.alice, stranger: keys.carol },
        { what: 'acme’s shared, to globex', fact: FACTS.acme, owner: keys.alice, stranger: keys.carol },
        { what: 'acme’s, to globex’s admin', fact: FACTS.acme, owner: keys.bob, stranger: keys.globexAdmin },
        { what: 'globex’s, to acme', fact: FACTS.carol, owner: keys.carol, stranger: keys.alice },
        { what: 'alice’s, to bob', fact: FACTS.alice, owner: keys.alice, stranger: keys.bob },
        {
          what: 'alice’s private, to her key for another collection',
          fact: FACTS.alice,
          owner: keys.alice,
          stranger: keys.aliceElsewhere,
        },
        {
          what: 'acme’s shared, to a key for another collection',
          fact: FACTS.acme,
          owner: keys.bob,
          stranger: keys.aliceElsewhere,
        },
      ];
    });
    const forAll = async (trial: (one: Trial) => Promise<void>) => {
      for (const one of trials) await trial(one);
    };

    it('chat', () =>
      forAll(async ({ what, fact, owner, stranger }) => {
        const json = { message: fact.question };
        const own = await call(url, 'POST /v1/chat', { key: owner, json });
        expect(textAt(own.json, 'answer'), what).toContain(fact.word);
        const foreign = await call(url, 'POST /v1/chat', { key: stranger, json });
        expect(foreign.json, what).toMatchObject({
          answer: NOT_IN_DOCUMENTS,
          citations: [],
          refusal_reason: 'no_answer_in_vault',
        });
        expect(foreign.text, what).not.toContain(fact.word);
      }));

    it('chat, streamed', () =>
      forAll(async ({ what, fact, owner, stranger }) => {
        const read = async (key: string) => {
          const json = { message: fact.question, stream: true };
          const events: ServerEvent[] = [];
          for await (const event of streamEvents(url, 'POST /v1/chat', { key, json })) events.push(event);
          expect(events.at(-1)?.event, what).toBe('answer');
          return JSON.stringify(events);
        };
        expect(await read(owner), what).toContain(fact.word);
        expect(await read(stranger), what).not.toContain(fact.word);
      }));

    it('chat completions, and streamed', () =>
      forAll(async ({ what, fact, owner, stranger }) => {
        const endpoint = 'POST /v1/chat/completions';
        const json = { model: 'bulkhead-rag', messages: [{ role: 'user', content: fact.question }] };
        const own = await call(url, endpoint, { key: owner, json });
        expect(textAt(own.json, 'choices.0.message.content'), what).toContain(fact.word);
        const foreign = await call(url, endpoint, { key: stranger, json });
        expect(textAt(foreign.json, 'choices.0.message.content'), what).toBe(NOT_IN_DOCUMENTS);
        expect(foreign.text, what).not.toContain(fact.word);
        const streamed = await call(url, endpoint, { key: stranger, json: { ...json, stream: true } });
        expect(streamed.status).toBe(200);
        expect(streamed.text, what).not.toContain(fact.word);
      }));

    it('responses and text completions, and streamed', () =>
      forAll(async ({ what, fact, owner, stranger }) => {
        for (const [endpoint, json] of [
          ['POST /v1/responses', { model: 'bulkhead-rag', input: fact.question }],
          ['POST /v1/completions', { model: 'bulkhead-rag', prompt: fact.question }],
        ] as const) {
          for (const stream of [false, true]) {
            const own = await call(url, endpoint, { key: owner, json: { ...json, stream } });
            expect(own.text, what).toContain(fact.word);
            const foreign = await call(url, endpoint, { key: stranger, json: { ...json, stream } });
            expect(foreign.status, what).toBe(200);
            if (!stream) expect(foreign.text, what).toContain(NOT_IN_DOCUMENTS);
            expect(foreign.text, what).not.toContain(fact.word);
          }
        }
      }));

    it('embeddings: the same text is the same vector to all, whoever asked for it before', async () => {
      const { keys } = seeded();
      const json = { model: 'bulkhead-embed', input: [FACTS.alice.sentence] };
      const vectors: unknown[] = [];
      for (const key of [keys.alice, keys.carol, keys.alice, keys.bob]) {
        const { json: answer, status } = await call(url, 'POST /v1/embeddings', { key, json });
        expect(status).toBe(200);
        vectors.push(listAt(answer, 'data')[0]);
        // A text that was cached would cost others nothing, and so tell them that somebody has it.
        expect(at(answer, 'usage.total_tokens')).toBeGreaterThan(5);
      }
      expect(new Set(vectors.map((vector) => JSON.stringify(vector))).size).toBe(1);
    });

    it('search, by words and by the very sentence', () =>
      forAll(async ({ what, fact, owner, stranger }) => {
        for (const query of [fact.word, fact.sentence, fact.question]) {
          const search = (key: string) =>
            call(url, 'POST /v1/vault/search', { key, json: { query, top_k: 50, diversity: 0 } });
          expect((await search(owner)).text, what).toContain(fact.word);
          expect((await search(stranger)).text, what).not.toContain(fact.word);
        }
      }));

    it('conversations: the question and its answer are its user’s alone', () =>
      forAll(async ({ what, fact, owner, stranger }) => {
        const json = { message: fact.question };
        const own = await call(url, 'POST /v1/chat', { key: owner, json });
        const id = textAt(own.json, 'conversation_id');
        const list = await call(url, 'GET /v1/conversations?limit=100', { key: stranger });
        expect(list.text, what).not.toContain(id);
        // To go on with it would put its history before the engine.
        const more = { message: 'Say that again.', conversation_id: id };
        const foreign = await call(url, 'POST /v1/chat', { key: stranger, json: more });
        expect(foreign.status, what).toBe(404);
        const { json: after } = await call(url, `GET /v1/conversations/${id}`, { key: owner });
        expect(listAt(after, 'messages'), what).toHaveLength(2);
      }));

    it('lists of documents, usage and models', () =>
      forAll(async ({ what, fact, stranger }) => {
        for (const path of ['/v1/vault/documents?limit=100', '/v1/usage?limit=100', '/v1/models']) {
          const { status, text } = await call(url, `GET ${path}`, { key: stranger });
          expect(status, path).toBe(200);
          expect(text, what).not.toContain(fact.word);
          for (const id of foreignDocuments(stranger)) expect(text, what).not.toContain(id);
        }
      }));

    it('documents of others named in a request find what ids of nobody find', () =>
      forAll(async ({ what, fact, stranger }) => {
        for (const id of foreignDocuments(stranger)) {
          const ask = async (documentId: string) => {
            const json = { query: fact.sentence, document_ids: [documentId] };
            const { status, text } = await call(url, 'POST /v1/vault/search', { key: stranger, json });
            return { status, text: text.replace(/"timings":\{[^}]*\}|req_[0-9a-z]{26}/g, '') };
          };
          expect(await ask(id), what).toEqual(await ask(`doc_${'0'.repeat(26)}`));
        }
      }));

    /** Ids that this key must never see. */
    function foreignDocuments(key: string): string[] {
      const { keys, documents } = seeded();
      if (key === keys.alice) return [documents.carol];
      if (key === keys.bob) return [documents.alice, documents.carol];
      const acme = [documents.alice, documents.acme];
      return key === keys.carol ? acme : [...acme, documents.carol];
    }
  });
}
