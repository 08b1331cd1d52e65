import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { call, textAt } from '../../support/http-client.ts';
import { minimalValue, readRoutes } from '../../support/openapi-routes.ts';
import type { SeededPlatform } from '../../support/seeded-platform.ts';
import { addDocument } from '../../support/vault-documents.ts';

/**
 * A word that nobody can guess, in alice's private documents, questions and titles: it appears in no answer that
 * others get, on any route, and in no log line at all.
 */
export function describeCanary(seeded: () => SeededPlatform): void {
  describe('a canary', () => {
    it('planted in acme appears nowhere else', async () => {
      const { platform, keys } = seeded();
      const { url } = platform;
      const canary = `canary${randomBytes(8).toString('hex')}`;
      const sentence = `The spare parts for the northern lock are kept in shed ${canary} until further notice.`;
      const documentId = await addDocument(url, keys.alice, {
        filename: `${canary}.md`,
        content: `# Sheds ${canary}\n\n${sentence}\n`,
        mediaType: 'text/markdown',
        fields: { title: `Sheds ${canary}` },
      });
      const question = 'Where are the spare parts for the northern lock kept?';
      const own = await call(url, 'POST /v1/chat', {
        key: keys.alice,
        json: { message: `${question} (${canary})` },
      });
      expect(own.text).toContain(canary);
      const conversationId = textAt(own.json, 'conversation_id');

      const response = await call(url, 'POST /v1/responses', {
        key: keys.alice,
        json: { model: 'bulkhead-rag', input: `${question} (${canary})`, metadata: { canary } },
      });
      expect(response.text).toContain(canary);
      const responseId = textAt(response.json, 'id');

      const strangers = [
        keys.aliceElsewhere,
        keys.bob,
        keys.carol,
        keys.globexAdmin,
        keys.acmeAdmin,
        keys.operator,
        undefined,
      ];
      const ids = {
        document_id: documentId,
        file_id: documentId,
        conversation_id: conversationId,
        response_id: responseId,
        tenant_id: 'acme',
      };
      for (const route of await readRoutes(url)) {
        for (const key of strangers) {
          const body = route.body === null ? undefined : Object(minimalValue(route.body));
          const known = Object.keys(route.body?.properties ?? {});
          // The very words, wherever a route takes words.
          const asked = known.includes('message')
            ? { message: question }
            : known.includes('query')
              ? { query: question }
              : known.includes('messages')
                ? { model: 'bulkhead-rag', messages: [{ role: 'user', content: question }] }
                : known.includes('prompt') && known.includes('max_tokens')
                  ? { model: 'bulkhead-rag', prompt: question }
                  : known.includes('input')
                    ? {
                        model: route.path.includes('embed') ? 'bulkhead-embed' : 'bulkhead-rag',
                        input: question,
                      }
                    : {};
          const ways: object[] = known.includes('stream') ? [{}, { stream: true }] : [{}];
          if (known.includes('previous_response_id')) ways.push({ previous_response_id: responseId });
          for (const way of ways) {
            const answer = await call(url, route.endpoint(ids), {
              ...(key === undefined ? {} : { key }),
              ...(body === undefined ? {} : { json: { ...body, ...asked, ...way } }),
            });
            const what = `${route.method} ${route.path}`;
            expect(answer.text, what).not.toContain(canary);
            expect(JSON.stringify(answer.headers), what).not.toContain(canary);
            expect(answer.status, what).toBeLessThan(500);
          }
        }
      }
      // Still there for alice: nobody could delete it either.
      expect((await call(url, `GET /v1/vault/documents/${documentId}`, { key: keys.alice })).status).toBe(
        200,
      );
      expect(await platform.log()).not.toContain(canary);
    });

    it('no secret of a key is logged', async () => {
      const { platform, keys } = seeded();
      const log = await platform.log();
      for (const key of Object.values(keys)) {
        const secret = key.split('_').slice(2).join('_');
        // The operator's key is announced once, where the start was asked to.
        if (key !== keys.operator) expect(log).not.toContain(secret);
      }
    });
  });
}
