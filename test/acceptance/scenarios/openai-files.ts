import OpenAI, { toFile } from 'openai';
import { beforeAll, describe, expect, it } from 'vitest';
import { FACTS, type SeededPlatform } from '../../support/seeded-platform.ts';
import { documentSettled } from '../../support/vault-documents.ts';

const STORE = 'vs_vault';

/** Files and the vector store, by the official client: the same documents as `/v1/vault`. */
export function describeOpenAIFiles(seeded: () => SeededPlatform): void {
  describe('the official openai client, with files', () => {
    let client: OpenAI;
    let bob: OpenAI;
    let carol: OpenAI;
    beforeAll(() => {
      const { platform, keys } = seeded();
      client = new OpenAI({ baseURL: `${platform.url}/v1`, apiKey: keys.alice, maxRetries: 0 });
      bob = client.withOptions({ apiKey: keys.bob });
      carol = client.withOptions({ apiKey: keys.carol });
    });
    const content = '# Ferry\n\nThe ferry to Halvorsund leaves at noon from the eastern quay.\n';
    const create = (text: string, filename: string) =>
      toFile(Buffer.from(text, 'latin1'), filename).then((file) =>
        client.files.create({ file, purpose: 'assistants' }),
      );

    it('adds a file, waits until it is indexed, finds it, reads it and deletes it', async () => {
      const file = await create(content, 'ferry.md');
      expect(file).toMatchObject({
        object: 'file',
        filename: 'ferry.md',
        purpose: 'assistants',
        bytes: content.length,
      });
      expect(Math.abs(file.created_at - Date.now() / 1_000)).toBeLessThan(300);
      const { platform, keys } = seeded();
      expect(await documentSettled(platform.url, keys.alice, file.id)).toBe('ready');
      expect(await client.files.retrieve(file.id)).toMatchObject({ id: file.id, status: 'processed' });
      expect(await (await client.files.content(file.id)).text()).toBe(content);

      const search = () =>
        client.vectorStores.search(STORE, { query: 'When does the ferry leave?', max_num_results: 3 });
      const [best] = (await search()).data;
      expect(best).toMatchObject({
        file_id: file.id,
        filename: 'ferry.md',
        attributes: {},
        content: [{ type: 'text' }],
      });
      expect(best?.content[0]?.text).toContain('Halvorsund');

      expect(await client.files.delete(file.id)).toEqual({ id: file.id, object: 'file', deleted: true });
      expect((await search()).data.map(({ file_id }) => file_id)).not.toContain(file.id);
      await expect(client.files.retrieve(file.id)).rejects.toBeInstanceOf(OpenAI.NotFoundError);
    });

    it('lists files over pages, each once', async () => {
      const { documents } = seeded();
      const ids: string[] = [];
      for await (const { id } of client.files.list({ limit: 1 })) ids.push(id);
      expect(ids).toEqual([...new Set(ids)].sort().reverse());
      expect(ids).toEqual(expect.arrayContaining([documents.alice, documents.acme]));
      expect(ids).not.toContain(documents.carol);
      expect((await client.files.list({ purpose: 'batch' })).data).toEqual([]);
    });

    it('has one vector store, which counts and lists the same files', async () => {
      const stores = [];
      for await (const store of client.vectorStores.list()) stores.push(store);
      expect(stores).toEqual([await client.vectorStores.retrieve(STORE)]);
      const files = [];
      for await (const file of client.vectorStores.files.list(STORE)) files.push(file);
      expect(files.length).toBe((await client.files.list()).data.length);
      const completed = files.filter(({ status }) => status === 'completed');
      expect(stores[0]).toMatchObject({
        object: 'vector_store',
        file_counts: { total: files.length, completed: completed.length, cancelled: 0 },
        usage_bytes: files.reduce((sum, { usage_bytes }) => sum + usage_bytes, 0),
      });
      expect(files.find(({ id }) => id === seeded().documents.alice)).toMatchObject({
        object: 'vector_store.file',
        vector_store_id: STORE,
        status: 'completed',
        last_error: null,
      });
    });

    it('attaches a file that is there already, as clients do', async () => {
      const { alice } = seeded().documents;
      expect(await client.vectorStores.files.createAndPoll(STORE, { file_id: alice })).toMatchObject({
        id: alice,
        status: 'completed',
      });
    });

    it('gives the text of a file as it was read, and says so where there is none', async () => {
      const { alice } = seeded().documents;
      const parts = [];
      for await (const part of client.vectorStores.files.content(alice, { vector_store_id: STORE })) {
        expect(part.type).toBe('text');
        parts.push(part.text);
      }
      expect(parts.join('\n')).toContain(FACTS.alice.sentence);
      const { id } = await create('%PDF-1.7\nnot really', 'broken.pdf');
      const { platform, keys } = seeded();
      expect(await documentSettled(platform.url, keys.alice, id)).toBe('failed');
      await expect(client.vectorStores.files.content(id, { vector_store_id: STORE })).rejects.toMatchObject({
        status: 409,
        code: 'conflict',
        param: 'file_id',
      });
      await client.files.delete(id);
    });

    it('refuses other purposes, expiry, filters and files that nobody can read, and keeps nothing', async () => {
      const before = (await client.files.list()).data.length;
      const file = await toFile(Buffer.from(content), 'expires.md');
      const expires_after = { anchor: 'created_at' as const, seconds: 3_600 };
      await expect(client.files.create({ file, purpose: 'assistants', expires_after })).rejects.toMatchObject(
        { status: 400, param: 'expires_after' },
      );
      await expect(client.files.create({ file, purpose: 'batch' })).rejects.toMatchObject({
        status: 400,
        param: 'purpose',
      });
      await expect(create('\x89PNG\r\n\x1a\n', 'a.png')).rejects.toMatchObject({ param: 'file' });
      await expect(
        client.vectorStores.search(STORE, { query: 'x', filters: { type: 'eq', key: 'a', value: 'b' } }),
      ).rejects.toMatchObject({ status: 400, param: 'filters' });
      await expect(
        client.vectorStores.search(STORE, { query: 'x', ranking_options: { score_threshold: 0.5 } }),
      ).rejects.toMatchObject({ status: 400, param: 'ranking_options.score_threshold' });
      await expect(client.vectorStores.create({})).rejects.toMatchObject({ status: 405 });
      expect((await client.files.list()).data.length).toBe(before);
    });

    it('gives others what they would get for a file of nobody', async () => {
      const { alice } = seeded().documents;
      const nobodys = `doc_${'0'.repeat(26)}`;
      for (const stranger of [bob, carol]) {
        for (const ask of [
          (id: string) => stranger.files.retrieve(id),
          (id: string) => stranger.files.content(id),
          (id: string) => stranger.files.delete(id),
          (id: string) => stranger.vectorStores.files.retrieve(id, { vector_store_id: STORE }),
          (id: string) => stranger.vectorStores.files.content(id, { vector_store_id: STORE }),
          (id: string) => stranger.vectorStores.files.create(STORE, { file_id: id }),
        ]) {
          expect(await failureOf(ask(alice))).toEqual(await failureOf(ask(nobodys)));
        }
        const found = await stranger.vectorStores.search(STORE, {
          query: FACTS.alice.sentence,
          max_num_results: 50,
        });
        expect(JSON.stringify(found.data)).not.toContain(FACTS.alice.word);
        expect((await stranger.files.list()).data.map(({ id }) => id)).not.toContain(alice);
      }
      expect((await client.files.retrieve(alice)).status).toBe('processed');
    });
  });
}

/** What a caller sees of a failure, but for the request's own id. */
async function failureOf(work: Promise<unknown>): Promise<unknown> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof OpenAI.APIError)) throw new Error(`It did not fail as it should: ${String(error)}`);
  const { status, code, param, message } = error;
  return { status, code, param, message };
}
