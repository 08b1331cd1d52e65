import { rm } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, describe, expect, it } from 'vitest';
import { at, call, listAt, textAt } from '../support/http-client.ts';
import { FACTS, seedPlatform } from '../support/seeded-platform.ts';
import { type Bulkhead, newDataDirectory, spawnBulkhead, startBulkhead } from '../support/start-bulkhead.ts';
import { createTenants, type Keys } from '../support/tenants.ts';
import { documentSettled, listDocuments, upload } from '../support/vault-documents.ts';

const directories: string[] = [];
const running: Bulkhead[] = [];

afterAll(async () => {
  for (const bulkhead of running) await bulkhead.child.kill();
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

async function start(dataDirectory: string): Promise<Bulkhead> {
  const bulkhead = await startBulkhead({ dataDirectory });
  running.push(bulkhead);
  return bulkhead;
}

async function dataDirectory(): Promise<string> {
  const directory = await newDataDirectory();
  directories.push(directory);
  return directory;
}

// Each starts the platform twice or more, which takes as long as the machine is busy.
const options = { timeout: 240_000 };

describe('a second start', options, () => {
  it('on the same data directory keeps everything, and a second process on it is refused', async () => {
    const directory = await dataDirectory();
    const first = await start(directory);
    const { keys, documents } = await seedPlatform(first);
    const asked = await call(first.url, 'POST /v1/chat', {
      key: keys.alice,
      json: { message: FACTS.alice.question },
    });
    const conversation = textAt(asked.json, 'conversation_id');

    const second = spawnBulkhead(directory);
    expect(await second.exited).not.toBe(0);
    expect(second.stderr()).toContain(String(first.child.pid));
    expect(second.stderr()).toContain(directory);
    expect((await call(first.url, 'GET /readyz')).status).toBe(200);

    const state = async ({ url }: Bulkhead) => ({
      documents: await listDocuments(url, keys.alice),
      conversation: (await call(url, `GET /v1/conversations/${conversation}`, { key: keys.alice })).json,
      tenants: (await call(url, 'GET /admin/tenants', { key: keys.operator })).json,
      // When a key was last used is written a while after its use.
      keys: listAt(
        (await call(url, 'GET /admin/tenants/acme/keys', { key: keys.operator })).json,
        'data',
      ).map((key) => ({ ...Object(key), last_used_at: null })),
    });
    const before = await state(first);
    await first.child.stop();
    expect(await first.child.exited).toBe(0);

    const again = await start(directory);
    expect(again.operatorKey).toBe(keys.operator);
    expect(await state(again)).toEqual(before);
    const answer = await call(again.url, 'POST /v1/chat', {
      key: keys.alice,
      json: { message: FACTS.alice.question, conversation_id: conversation },
    });
    expect(textAt(answer.json, 'answer')).toContain(FACTS.alice.word);
    expect(at(answer.json, 'citations.0.document_id')).toBe(documents.alice);
    const usage = await call(again.url, 'GET /v1/usage?limit=100', { key: keys.alice });
    expect(usage.text).toContain(textAt(asked.json, 'request_id'));
    await again.child.stop();
  });
});

describe('kill -9 during an ingest, then a start', options, () => {
  const DOCUMENTS = 6;
  const SECTIONS = 12;
  const word = (document: number) => `zephyr${'abcdefghij'[document] ?? 'x'}quill`;

  /** A document of many passages, each with the document's word, so that indexing takes a while. */
  const content = (document: number) =>
    Array.from(
      { length: SECTIONS },
      (_, section) =>
        `## Section ${section}\n\nThe ${word(document)} of section ${section} is described here at length. ${`It is checked by the keeper of hall ${section} every morning, and written down. `.repeat(14)}\n`,
    ).join('\n');

  // After the answers to the uploads, milliseconds: from before the first job to the middle of the last ones.
  it.each([0, 150, 400, 900, 1_600])(
    'loses, doubles and half-indexes nothing (%i ms in)',
    async (milliseconds) => {
      const directory = await dataDirectory();
      const first = await start(directory);
      const keys: Keys = await createTenants(first);
      const accepted = new Set<string>();
      // All at once: the last are on their way when the process dies, and may or may not be accepted.
      const sending = Array.from({ length: DOCUMENTS }, async (_, document) => {
        const answer = await upload(first.url, keys.alice, {
          filename: `document-${document}.md`,
          content: content(document),
          mediaType: 'text/markdown',
        });
        if (answer.status === 201) accepted.add(textAt(answer.json, 'document_id'));
      });
      const sent = Promise.allSettled(sending);
      if (milliseconds > 0) {
        await sent;
        await delay(milliseconds);
      } else {
        await Promise.race(sending).catch(() => undefined);
      }
      await first.child.kill();
      await sent;

      const { url, child } = await start(directory);
      const documents = await listDocuments(url, keys.alice);
      const ids = documents.map((document) => textAt(document, 'document_id'));
      // Nothing that was accepted is lost; nothing is there twice; what was cut off may be whole or not there.
      for (const id of accepted) expect(ids).toContain(id);
      expect(new Set(ids).size).toBe(ids.length);
      const names = documents.map((document) => textAt(document, 'filename'));
      expect(new Set(names).size).toBe(names.length);

      for (const id of ids) expect(await documentSettled(url, keys.alice, id)).toBe('ready');
      const found = new Map<string, Set<string>>();
      for (const id of ids) {
        const { json: document } = await call(url, `GET /v1/vault/documents/${id}`, { key: keys.alice });
        const number = Number(/\d+/.exec(textAt(document, 'filename'))?.[0]);
        const { json } = await call(url, 'POST /v1/vault/search', {
          key: keys.alice,
          json: { query: word(number), top_k: 50, diversity: 0, document_ids: [id] },
        });
        const chunks = Object.values(Object(at(json, 'data')));
        const chunkIds = chunks.map((chunk) => textAt(chunk, 'chunk_id'));
        // Every passage is in the index once, and the whole text is covered.
        expect(new Set(chunkIds).size).toBe(chunkIds.length);
        expect(chunkIds).toHaveLength(Number(at(document, 'chunk_count')));
        for (let section = 0; section < SECTIONS; section++) {
          const needle = `of section ${section} is described`;
          expect(chunks.filter((chunk) => textAt(chunk, 'text').includes(needle)).length).toBeGreaterThan(0);
        }
        found.set(id, new Set(chunkIds));
        const file = await call(url, `GET /v1/vault/documents/${id}/content`, { key: keys.alice });
        expect(file.text).toBe(content(number));
      }
      // No document has another's passages.
      const all = [...found.values()].flatMap((chunkIds) => [...chunkIds]);
      expect(new Set(all).size).toBe(all.length);
      await child.stop();
    },
  );
});
