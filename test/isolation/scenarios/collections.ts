import { beforeAll, describe, expect, it } from 'vitest';
import { at, call, listAt, textAt } from '../../support/http-client.ts';
import { FACTS, NOT_IN_DOCUMENTS, type SeededPlatform } from '../../support/seeded-platform.ts';
import { createKey } from '../../support/tenants.ts';
import { addDocument, listDocuments, upload } from '../../support/vault-documents.ts';

const MENU = {
  sentence: 'The canteen of the harbour office serves lentil soup with Zimtquist on Thursdays.',
  question: 'What does the canteen of the harbour office serve on Thursdays?',
  word: 'Zimtquist',
};

/**
 * A key for some collections reaches the documents of those, and what was answered from them. The other scenarios try such a
 * key as a stranger; here is what it may, and the ways around it.
 */
export function describeCollections(seeded: () => SeededPlatform): void {
  describe('a key for a collection', () => {
    let url: string;
    let all: string;
    let limited: string;
    let menu: string;
    beforeAll(async () => {
      const { platform, keys } = seeded();
      url = platform.url;
      all = keys.alice;
      limited = keys.aliceElsewhere;
      menu = await addDocument(url, limited, {
        filename: 'menu.md',
        content: `# Menu\n\n${MENU.sentence}\n`,
        mediaType: 'text/markdown',
      });
    });

    it('uploads into it, and sees what is in it', async () => {
      const { json } = await call(url, `GET /v1/vault/documents/${menu}`, { key: limited });
      expect(at(json, 'collection')).toBe('elsewhere');
      const listed = await listDocuments(url, limited);
      expect(listed.map((document) => at(document, 'document_id'))).toEqual([menu]);
      const files = await call(url, 'GET /v1/files', { key: limited });
      expect(listAt(files.json, 'data').map((file) => at(file, 'id'))).toEqual([menu]);
      const store = await call(url, 'GET /v1/vector_stores/vs_vault', { key: limited });
      expect(at(store.json, 'file_counts.total')).toBe(1);
      const search = await call(url, 'POST /v1/vault/search', {
        key: limited,
        json: { query: `${MENU.question} ${FACTS.alice.question}` },
      });
      expect(search.text).toContain(MENU.word);
      expect(search.text).not.toContain(FACTS.alice.word);
    });

    it('is answered from it, and nobody else’s key of the user is kept from it', async () => {
      for (const key of [limited, all]) {
        const answer = await call(url, 'POST /v1/chat', { key, json: { message: MENU.question } });
        expect(textAt(answer.json, 'answer')).toContain(MENU.word);
        expect(listAt(answer.json, 'citations').map((one) => at(one, 'document_id'))).toContain(menu);
      }
    });

    it('cannot put anything elsewhere, and learns of no other collection', async () => {
      const into = (collection: string, key = limited) =>
        upload(url, key, { filename: 'a.txt', content: `For ${collection}`, fields: { collection } });
      const [existing, missing] = [await into('default'), await into('nowhere')];
      expect(existing.status).toBe(404);
      expect(withoutRequestId(existing.json)).toEqual(withoutRequestId(missing.json));
      const bad = await into('No Such Name');
      expect(bad.status).toBe(400);
      expect(at(bad.json, 'error.param')).toBe('collection');
      const elsewhere = await into('archive', all);
      expect(elsewhere.status).toBe(201);
      const id = textAt(elsewhere.json, 'document_id');
      expect((await call(url, `GET /v1/vault/documents/${id}`, { key: limited })).status).toBe(404);
      expect((await call(url, `DELETE /v1/vault/documents/${id}`, { key: limited })).status).toBe(404);
      expect((await call(url, `DELETE /v1/vault/documents/${id}`, { key: all })).status).toBe(204);
    });

    it('with an equal upload is not given the document of another collection', async () => {
      const same = { filename: 'same.txt', content: 'The same text in two collections.' };
      const first = await upload(url, all, same);
      const second = await upload(url, limited, same);
      expect([first.status, second.status]).toEqual([201, 201]);
      expect(textAt(second.json, 'document_id')).not.toBe(textAt(first.json, 'document_id'));
    });

    it('sees conversations that rest on its collections, and no others', async () => {
      const ask = (key: string, message: string, conversation_id?: string) =>
        call(url, 'POST /v1/chat', { key, json: { message, conversation_id } });
      const idOf = async (answer: ReturnType<typeof ask>) => textAt((await answer).json, 'conversation_id');
      const own = await idOf(ask(limited, MENU.question));
      const foreign = await idOf(ask(all, FACTS.alice.question));
      const read = (id: string) => call(url, `GET /v1/conversations/${id}`, { key: limited });
      expect((await read(own)).text).toContain(MENU.word);
      expect((await read(foreign)).status).toBe(404);
      expect((await ask(limited, 'And what else?', foreign)).status).toBe(404);
      const list = await call(url, 'GET /v1/conversations?limit=100', { key: limited });
      const ids = listAt(list.json, 'data').map((one) => at(one, 'conversation_id'));
      expect(ids).toContain(own);
      expect(ids).not.toContain(foreign);
      // Goes on with it, which the limited key sees, until an unlimited one has been answered in it.
      expect((await ask(limited, MENU.question, own)).status).toBe(200);
      expect((await ask(all, FACTS.alice.question, own)).text).toContain(FACTS.alice.word);
      expect((await read(own)).status).toBe(404);
      expect((await ask(limited, 'What was that?', own)).status).toBe(404);
      expect((await call(url, `DELETE /v1/conversations/${own}`, { key: limited })).status).toBe(404);
    });

    it('is not led out of it by the name of another, which is as one that is not there', async () => {
      const search = (key: string, collection: string) =>
        call(url, 'POST /v1/vault/search', {
          key,
          json: { query: `${MENU.question} ${FACTS.alice.question}`, collection },
        });
      const passages = async (key: string, collection: string) =>
        listAt((await search(key, collection)).json, 'data').map((one) => at(one, 'document_id'));
      const list = (key: string, collection: string, path = '/v1/vault/documents') =>
        call(url, `GET ${path}?limit=100&collection=${collection}`, { key });
      const listed = async (key: string, collection: string) =>
        listAt((await list(key, collection)).json, 'data').map((one) => at(one, 'document_id'));

      for (const path of ['/v1/vault/documents', '/v1/files']) {
        const [existing, missing] = [
          await list(limited, 'default', path),
          await list(limited, 'nowhere', path),
        ];
        expect([existing.status, missing.status]).toEqual([200, 200]);
        expect(existing.json).toEqual(missing.json);
        expect(at(existing.json, 'data')).toEqual([]);
      }
      expect([await passages(limited, 'default'), await passages(limited, 'nowhere')]).toEqual([[], []]);
      // Globex has an `elsewhere` no more than it has acme’s documents.
      expect([
        await listed(seeded().keys.carol, 'elsewhere'),
        await passages(seeded().keys.carol, 'elsewhere'),
      ]).toEqual([[], []]);

      const { documents } = seeded();
      for (const key of [limited, all]) {
        expect(await listed(key, 'elsewhere')).toContain(menu);
        expect(new Set(await passages(key, 'elsewhere'))).toContain(menu);
        expect(await passages(key, 'elsewhere')).not.toContain(documents.alice);
      }
      expect(await listed(all, 'default')).toEqual(expect.arrayContaining([documents.alice, documents.acme]));
      expect(await listed(all, 'default')).not.toContain(menu);
      expect(await passages(all, 'default')).toContain(documents.alice);
      expect(await passages(all, 'default')).not.toContain(menu);

      for (const name of ['No%20Such', '', "'%20OR%20''%3D'", 'default&collection=elsewhere']) {
        const bad = await list(limited, name);
        expect([name, bad.status, at(bad.json, 'error.param')]).toEqual([name, 400, 'collection']);
      }
      const bad = await search(limited, "x' OR '1'='1");
      expect([bad.status, at(bad.json, 'error.param')]).toEqual([400, 'collection']);
    });

    it('is not led out of it by ids in a request', async () => {
      const { documents } = seeded();
      const answer = await call(url, 'POST /v1/chat', {
        key: limited,
        json: { message: FACTS.alice.question, document_ids: [documents.alice, documents.acme] },
      });
      expect(answer.json).toMatchObject({ answer: NOT_IN_DOCUMENTS, citations: [] });
      for (const collection of ['default', 'nowhere']) {
        const json = { message: FACTS.alice.question, collection };
        const named = await call(url, 'POST /v1/chat', { key: limited, json });
        expect(named.json).toMatchObject({ answer: NOT_IN_DOCUMENTS, citations: [] });
      }
    });

    it('for several says which it means, and sees them all', async () => {
      const { platform } = seeded();
      const two = await createKey(platform, 'acme', {
        user_id: 'alice',
        collections: ['elsewhere', 'archive'],
      });
      const unclear = await upload(url, two, { filename: 'b.txt', content: 'Which?' });
      expect(unclear.status).toBe(400);
      expect(at(unclear.json, 'error.param')).toBe('collection');
      const clear = await upload(url, two, {
        filename: 'b.txt',
        content: 'This one.',
        fields: { collection: 'archive' },
      });
      expect(at(clear.json, 'collection')).toBe('archive');
      expect((await call(url, `GET /v1/vault/documents/${menu}`, { key: two })).status).toBe(200);
      expect(
        (await call(url, `GET /v1/vault/documents/${textAt(clear.json, 'document_id')}`, { key: limited }))
          .status,
      ).toBe(404);
    });

    it('administers nothing, whatever its role', async () => {
      const { platform, keys } = seeded();
      const admin = await createKey(platform, 'acme', {
        user_id: 'ada',
        role: 'admin',
        collections: ['elsewhere'],
      });
      for (const endpoint of ['GET /admin/tenants/acme/keys', 'POST /admin/tenants/acme/export']) {
        expect((await call(url, endpoint, { key: admin })).status, endpoint).toBe(403);
      }
      const wider = await call(url, 'POST /admin/tenants/acme/keys', {
        key: admin,
        json: { user_id: 'alice' },
      });
      expect(wider.status).toBe(403);
      const both = await call(url, 'POST /admin/tenants/acme/keys', {
        key: keys.acmeAdmin,
        json: { user_id: 'ada', role: 'admin', scopes: ['tenant:admin'], collections: ['elsewhere'] },
      });
      expect(both.status).toBe(400);
      expect(at(both.json, 'param')).toBe('scopes.0');
    });
  });
}

/** An error as it is but for the id of the request. */
function withoutRequestId(json: unknown): unknown {
  const error = at(json, 'error');
  return { ...Object(error), request_id: null };
}
