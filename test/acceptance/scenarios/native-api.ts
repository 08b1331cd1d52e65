import { beforeAll, describe, expect, it } from 'vitest';
import { at, call, listAt, type ServerEvent, streamEvents, textAt } from '../../support/http-client.ts';
import { FACTS, NOT_IN_DOCUMENTS, type SeededPlatform } from '../../support/seeded-platform.ts';
import { createKey, createTenant } from '../../support/tenants.ts';
import { addDocument, listDocuments, upload } from '../../support/vault-documents.ts';

/** The native API: chat with citations, documents, search, conversations, usage, policies. */
export function describeNativeApi(seeded: () => SeededPlatform): void {
  describe('the native API', () => {
    let url: string;
    let alice: string;
    beforeAll(() => {
      url = seeded().platform.url;
      alice = seeded().keys.alice;
    });
    const ask = (message: string, more: Readonly<Record<string, unknown>> = {}) =>
      call(url, 'POST /v1/chat', { key: alice, json: { message, ...more } });

    it('answers with citations whose offsets point at the passage', async () => {
      const { status, json } = await ask(FACTS.alice.question);
      expect(status).toBe(200);
      expect(json).toMatchObject({ tenant_id: 'acme', user_id: 'alice', route: 'rag', refusal_reason: null });
      expect(textAt(json, 'answer')).toContain('42 bar');
      expect(textAt(json, 'answer')).toContain('[1]');
      const documentId = seeded().documents.alice;
      expect(at(json, 'citations.0')).toMatchObject({ index: 1, document_id: documentId });
      expect(listAt(json, 'chunk_ids')).toContain(textAt(json, 'citations.0.chunk_id'));
      const { json: text } = await call(url, `GET /v1/vault/documents/${documentId}/text`, { key: alice });
      const [start, end] = [at(json, 'citations.0.start_offset'), at(json, 'citations.0.end_offset')];
      const passage = textAt(text, 'pages.0.text').slice(Number(start), Number(end));
      expect(passage).toBe(textAt(json, 'citations.0.text'));
      expect(passage).toContain(FACTS.alice.word);
    });

    it('says that the documents hold no answer, and why nothing is cited', async () => {
      const { json } = await ask('What is the capital of Peru?');
      expect(json).toMatchObject({
        answer: NOT_IN_DOCUMENTS,
        citations: [],
        refusal_reason: 'no_answer_in_vault',
      });
    });

    it('streams: started, retrieved, deltas, and the whole answer', async () => {
      const events: ServerEvent[] = [];
      const json = { message: FACTS.alice.question, stream: true };
      for await (const event of streamEvents(url, 'POST /v1/chat', { key: alice, json })) events.push(event);
      const names = events.map(({ event }) => event);
      expect(names.slice(0, 2)).toEqual(['started', 'retrieved']);
      expect(names.at(-1)).toBe('answer');
      expect(new Set(names.slice(2, -1))).toEqual(new Set(['delta']));
      const text = events.filter(({ event }) => event === 'delta').map(({ data }) => textAt(data, 'text'));
      expect(text.join('')).toBe(textAt(events.at(-1)?.data, 'answer'));
    });

    it('searches only the documents that are named', async () => {
      const { json } = await ask(FACTS.alice.question, { document_ids: [seeded().documents.acme] });
      expect(textAt(json, 'answer')).toBe(NOT_IN_DOCUMENTS);
    });

    it('keeps conversations: go on with one, list, read, delete', async () => {
      const first = await ask(FACTS.alice.question);
      const id = textAt(first.json, 'conversation_id');
      const second = await ask(FACTS.acme.question, { conversation_id: id });
      expect(textAt(second.json, 'conversation_id')).toBe(id);

      const { json } = await call(url, `GET /v1/conversations/${id}`, { key: alice });
      expect(listAt(json, 'messages').map((message) => at(message, 'role'))).toEqual([
        'user',
        'assistant',
        'user',
        'assistant',
      ]);
      expect(textAt(json, 'messages.1.content')).toBe(textAt(first.json, 'answer'));
      expect(listAt(json, 'messages.1.citations').length).toBeGreaterThan(0);
      const list = await call(url, 'GET /v1/conversations?limit=100', { key: alice });
      const ids = listAt(list.json, 'data').map((item) => at(item, 'conversation_id'));
      expect(ids).toContain(id);

      expect((await call(url, `DELETE /v1/conversations/${id}`, { key: alice })).status).toBe(204);
      expect((await call(url, `GET /v1/conversations/${id}`, { key: alice })).status).toBe(404);
      expect((await ask('And then?', { conversation_id: id })).status).toBe(404);
    });

    it('takes a document, finds it, gives it back as it was, and forgets it', async () => {
      const content =
        '# Bees\n\nThe beekeeper Olufemi counts the hives of Marrowdale on every second Friday.\n';
      const id = await addDocument(url, alice, {
        filename: 'Bees & co.md',
        content,
        mediaType: 'text/markdown',
        fields: { title: 'About bees' },
      });
      const { json: document } = await call(url, `GET /v1/vault/documents/${id}`, { key: alice });
      expect(document).toMatchObject({
        title: 'About bees',
        filename: 'Bees & co.md',
        visibility: 'private',
        status: 'ready',
        tenant_id: 'acme',
        user_id: 'alice',
        byte_size: Buffer.byteLength(content),
      });
      const file = await call(url, `GET /v1/vault/documents/${id}/content`, { key: alice });
      expect(file.text).toBe(content);
      expect(file.headers['content-disposition']).toMatch(/^attachment;/);

      const search = () =>
        call(url, 'POST /v1/vault/search', { key: alice, json: { query: 'hives of Marrowdale', top_k: 3 } });
      const found = await search();
      expect(at(found.json, 'data.0.document_id')).toBe(id);
      expect(textAt(found.json, 'data.0.text')).toContain('Olufemi');

      expect((await call(url, `DELETE /v1/vault/documents/${id}`, { key: alice })).status).toBe(204);
      expect((await call(url, `GET /v1/vault/documents/${id}`, { key: alice })).status).toBe(404);
      expect((await search()).text).not.toContain('Olufemi');
      const remaining = await listDocuments(url, alice);
      expect(remaining.map((item) => at(item, 'document_id'))).not.toContain(id);
    });

    it('pages lists without gaps or repeats', async () => {
      const whole = await listDocuments(url, alice);
      const paged: unknown[] = [];
      for (let after = ''; ; ) {
        const { json } = await call(url, `GET /v1/vault/documents?limit=1${after}`, { key: alice });
        paged.push(...listAt(json, 'data'));
        if (at(json, 'has_more') !== true) break;
        after = `&after=${textAt(json, 'last_id')}`;
      }
      expect(paged).toEqual(whole);
    });

    it('shares a document only with a key that may', async () => {
      const { bob } = seeded().keys;
      const answer = await upload(url, bob, {
        filename: 'a.txt',
        content: 'Some text.',
        fields: { visibility: 'tenant' },
      });
      expect(answer.status).toBe(403);
      expect(answer.json).toMatchObject({ error: { code: 'missing_scope', param: 'visibility' } });
    });

    it('writes a usage row for every request, refused ones as well', async () => {
      const { carol } = seeded().keys;
      const totals = async () => {
        const { json } = await call(url, 'GET /v1/usage?limit=1', { key: carol });
        return Number(at(json, 'totals.requests'));
      };
      const before = await totals();
      const good = await call(url, 'POST /v1/chat', { key: carol, json: { message: FACTS.carol.question } });
      await call(url, 'POST /v1/chat', { key: carol, json: { message: FACTS.carol.question, nonsense: 1 } });
      // The two, and the first look itself.
      expect(await totals()).toBe(before + 3);
      const { json } = await call(url, 'GET /v1/usage?limit=5&route=rag', { key: carol });
      expect(at(json, 'data.0')).toMatchObject({
        request_id: textAt(good.json, 'request_id'),
        tenant_id: 'globex',
        user_id: 'carol',
        outcome: 'ok',
        token_usage: at(good.json, 'token_usage'),
      });
    });

    it('explains a rate limit: the limit, its value, when it frees, and the request', async () => {
      const { platform } = seeded();
      const tenant_id = 'limited';
      await createTenant(platform, {
        tenant_id,
        display_name: 'Limited',
        rate_limits: { requests_per_minute: 3, requests_per_hour: null },
      });
      const key = await createKey(platform, tenant_id, { user_id: 'lee' });
      const list = () => call(url, 'GET /v1/conversations', { key });
      for (const remaining of ['2', '1', '0']) {
        const answer = await list();
        expect(answer.status).toBe(200);
        expect(answer.headers['x-ratelimit-limit-requests']).toBe('3');
        expect(answer.headers['x-ratelimit-remaining-requests']).toBe(remaining);
      }
      const refused = await list();
      expect(refused.status).toBe(429);
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect(refused.json).toMatchObject({
        error: {
          code: 'rate_limit_exceeded',
          request_id: refused.headers['x-request-id'],
          refusal: { policy: 'rate_limits.requests_per_minute', limit: 3, current: 3 },
        },
      });
      expect(Date.parse(textAt(refused.json, 'error.refusal.resets_at'))).toBeGreaterThan(0);
      // Others are not touched.
      expect((await call(url, 'GET /v1/conversations', { key: alice })).status).toBe(200);
    });

    it('keeps to a tenant’s policy: patterns, subjects, routes', async () => {
      const { platform } = seeded();
      const tenant_id = 'strict';
      await createTenant(platform, {
        tenant_id,
        display_name: 'Strict',
        allowed_routes: ['rag', 'conversations'],
        sensitive_patterns: [{ name: 'card', pattern: '\\b\\d{16}\\b' }],
        refusal_rules: [{ name: 'law', phrases: ['legal advice'], message: 'Ask a lawyer.' }],
      });
      const key = await createKey(platform, tenant_id, { user_id: 'sam' });
      const chat = (message: string, route = 'rag') =>
        call(url, 'POST /v1/chat', { key, json: { message, route } });
      expect((await chat('Hello there')).status).toBe(200);
      const card = await chat('My card is 4111111111111111');
      expect(card.status).toBe(403);
      expect(card.json).toMatchObject({ error: { code: 'guardrail_refused' } });
      expect(card.text).not.toContain('4111');
      expect(textAt(card.json, 'error.refusal.policy')).toContain('sensitive_patterns');
      const law = await chat('Please give me LEGAL  advice');
      expect(law.json).toMatchObject({ error: { code: 'guardrail_refused', message: 'Ask a lawyer.' } });
      expect((await chat('Hello', 'chat')).json).toMatchObject({ error: { code: 'route_not_allowed' } });
      const vault = await call(url, 'GET /v1/vault/documents', { key });
      expect(vault.json).toMatchObject({ error: { code: 'route_not_allowed' } });
    });

    it('stops a key that is revoked', async () => {
      const { platform } = seeded();
      const operator = platform.operatorKey;
      const created = await call(url, 'POST /admin/tenants/acme/keys', {
        key: operator,
        json: { user_id: 'temp' },
      });
      const [key, id] = [textAt(created.json, 'api_key'), textAt(created.json, 'key_id')];
      expect((await call(url, 'GET /v1/models', { key })).status).toBe(200);
      await call(url, `DELETE /admin/tenants/acme/keys/${id}`, { key: operator });
      expect((await call(url, 'GET /v1/models', { key })).status).toBe(401);
    });

    it('tells its health, and describes itself', async () => {
      expect((await call(url, 'GET /healthz')).json).toEqual({ status: 'ok' });
      expect((await call(url, 'GET /readyz')).json).toMatchObject({ status: 'ready' });
      const { json } = await call(url, 'GET /openapi.json');
      expect(at(json, 'openapi')).toBe('3.1.0');
      expect((await call(url, 'GET /docs/')).status).toBe(200);
    });
  });
}
