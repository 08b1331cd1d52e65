import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type DocumentId, newDocumentId } from '#app/ids.ts';
import type { VaultDocument } from '#app/schemas/vault-document.ts';
import type { Embedder } from '#inference/embed/embedder.ts';
import { createLocalVaultFiles } from '#rag/files/local-vault-files.ts';
import { createLanceVaultIndex } from '#rag/index/lance-vault-index.ts';
import type { VaultIndex } from '#rag/index/vault-index.ts';
import {
  createTestEmbedder,
  createTestRag,
  finished,
  type TestRag,
  uploadText,
} from '#test/support/create-test-rag.ts';
import { indexedChunk } from '#test/support/describe-vault-index.ts';
import { testContext } from '#test/support/test-context.ts';

const never = new AbortController().signal;
const PATIENTLY = { timeout: 50_000 };
const alice = testContext('acme', 'alice');

let embedder: Embedder;
beforeAll(async () => {
  embedder = await createTestEmbedder();
});
afterAll(() => embedder.close());

/** Several chunks, each with a word of its own. */
const longText = (name: string, parts: number) =>
  Array.from({ length: parts }, (_, i) => `## Part ${i}\n\n${`${name}${i} stands here. `.repeat(60)}`).join(
    '\n\n',
  );

describe('a restart', () => {
  let bench: TestRag;
  beforeEach(async () => {
    bench = await createTestRag(['acme', 'globex'], { embedder });
  });
  afterEach(() => bench.close());

  const service = () => bench.current().service;
  const ready = async (id: DocumentId): Promise<VaultDocument> => {
    const document = await finished(service(), alice, id);
    expect(document).toMatchObject({ status: 'ready', error: null });
    return document;
  };
  const setRow = (id: DocumentId, assignment: string) =>
    bench.open.database.asTenant(alice, (transaction) =>
      transaction.query(`UPDATE bulkhead.documents SET ${assignment} WHERE document_id = $1`, [id]),
    );
  const openIndex = (): Promise<VaultIndex> =>
    createLanceVaultIndex({
      directory: join(bench.dataDirectory, 'index'),
      dimensions: bench.embedder.dimensions,
      embedderId: bench.embedder.id,
      onBackgroundError: (error) => {
        throw error;
      },
    });
  const openFiles = () => createLocalVaultFiles({ directory: join(bench.dataDirectory, 'vault') });

  /** Rows, files and index agree, and every chunk is there once. */
  async function expectConsistent(ids: readonly DocumentId[]): Promise<void> {
    for (const id of ids) await ready(id);
    const page = await service().listDocuments(alice, { limit: 100 }, never);
    expect(page.data.map((document) => document.document_id).sort()).toEqual([...ids].sort());
    await bench.restart(async () => {
      const index = await openIndex();
      const held = await index.listDocuments(alice);
      expect([...held.keys()].sort()).toEqual([...ids].sort());
      for (const document of page.data) {
        expect(held.get(document.document_id)).toEqual({
          contentHash: document.content_hash,
          chunkCount: document.chunk_count,
        });
        const filter = { op: 'eq', field: 'document_id', value: document.document_id } as const;
        const search = {
          query: { mode: 'dense', vector: await bench.embedder.embedQuery('x') },
          limit: 999,
          filter,
        } as const;
        const ordinals = (await index.search(alice, search, never)).map((hit) => hit.chunk.ordinal);
        expect(ordinals.sort((a, b) => a - b)).toEqual([...Array(document.chunk_count).keys()]);
      }
      await index.close();
    });
    const vault = join(bench.dataDirectory, 'vault', 'acme', 'alice');
    expect((await readdir(vault).catch(() => [])).sort()).toEqual([...ids].sort());
  }

  it('goes on with what was being indexed', async () => {
    const ids: DocumentId[] = [];
    for (const name of ['ash', 'oak', 'elm']) {
      ids.push(
        (await uploadText(service(), alice, longText(name, 5), { filename: `${name}.md` })).document_id,
      );
    }
    await expect
      .poll(
        async () => (await service().getDocument(alice, ids[0] ?? newDocumentId(), never)).status,
        PATIENTLY,
      )
      .not.toBe('pending');
    await bench.restart();
    await expectConsistent(ids);
  });

  it('indexes what has a row and no job', async () => {
    const { document_id } = await uploadText(service(), alice, longText('fir', 2));
    await ready(document_id);
    await bench.restart(async () => {
      await setRow(document_id, `status = 'pending', indexed_hash = NULL`);
    });
    await expectConsistent([document_id]);
  });

  it('repeats an indexing that was cut off after its commit, without a chunk twice', async () => {
    const { document_id } = await uploadText(service(), alice, longText('yew', 5));
    await ready(document_id);
    await bench.restart(async () => {
      await setRow(document_id, `status = 'indexing', indexed_hash = NULL, chunk_count = 0`);
    });
    await expectConsistent([document_id]);
  });

  it('gives complete files without a row their row', async () => {
    const documentId = newDocumentId();
    await bench.restart(async () => {
      const files = await openFiles();
      const staged = await files.receive(Readable.from([Buffer.from('Adopted: birch.')]), {
        maxBytes: 1_000,
        signal: never,
      });
      const metadata = {
        format: 1 as const,
        tenant_id: alice.tenantId,
        user_id: alice.userId,
        document_id: documentId,
        visibility: 'private' as const,
        collection: 'default',
        title: null,
        filename: 'birch.txt',
        media_type: 'text/plain',
        byte_size: staged.byteSize,
        content_hash: staged.contentHash,
        created_at: new Date().toISOString(),
      };
      await staged.prepare(metadata);
      await staged.commit(metadata);
    });
    await bench.current().reconciled();
    await expectConsistent([documentId]);
    const { chunks } = await service().retrieveForTenant(
      alice,
      { query: 'birch', top_k: 3, diversity: 0 },
      never,
    );
    expect(chunks[0]?.title).toBe('birch.txt');
  });

  it('removes what an upload left half done', async () => {
    await bench.restart(async () => {
      const left = join(bench.dataDirectory, 'vault', '.staging', 'left');
      await mkdir(left, { recursive: true });
      await writeFile(join(left, 'original'), 'half');
    });
    await expectConsistent([]);
    expect(await readdir(join(bench.dataDirectory, 'vault'))).not.toContain('.staging');
  });

  it('finishes a deletion that was cut off, wherever', async () => {
    const kept = await uploadText(service(), alice, 'Kept.', { filename: 'kept.md' });
    const cuts: ((id: DocumentId) => Promise<void>)[] = [
      async () => {},
      async (id) => {
        const index = await openIndex();
        await index.removeDocuments(alice, [id]);
        await index.close();
      },
      async (id) => {
        const place = { tenantId: alice.tenantId, userId: alice.userId, documentId: id };
        await (await openFiles()).remove(place);
      },
    ];
    await ready(kept.document_id);
    for (const cut of cuts) {
      const { document_id } = await uploadText(service(), alice, longText('doomed', 3), {
        filename: 'doomed.md',
      });
      await ready(document_id);
      await bench.restart(async () => {
        await setRow(document_id, `status = 'deleting'`);
        await cut(document_id);
      });
      await expect(service().getDocument(alice, document_id, never)).rejects.toMatchObject({
        code: 'not_found',
      });
      await expect
        .poll(
          () =>
            bench.open.database.asTenant(alice, (transaction) =>
              transaction.query('SELECT 1 FROM bulkhead.documents WHERE document_id = $1', [document_id]),
            ),
          PATIENTLY,
        )
        .toEqual([]);
    }
    await expectConsistent([kept.document_id]);
  });

  it('removes index entries that no document has, and builds a lost index anew', async () => {
    const { document_id } = await uploadText(service(), alice, longText('pine', 3));
    await ready(document_id);
    const orphan = newDocumentId();
    await bench.restart(async () => {
      const index = await openIndex();
      const vector = await bench.embedder.embedQuery('orphan');
      await index.replaceDocument(alice, orphan, [
        indexedChunk(alice, orphan, 0, { text: 'orphan', vector }),
      ]);
      await index.close();
    });
    await bench.current().reconciled();
    // What reconciling leaves in the index is seen below the service, which hides it anyway.
    await bench.restart(async () => {
      const index = await openIndex();
      expect([...(await index.listDocuments(alice)).keys()]).toEqual([document_id]);
      await index.close();
    });
    await bench.restart(() => rm(join(bench.dataDirectory, 'index'), { recursive: true }));
    await expect
      .poll(async () => {
        const request = { query: 'pine', top_k: 5, diversity: 0 };
        return (await service().retrieveForTenant(alice, request, never)).chunks.length;
      }, PATIENTLY)
      .toBeGreaterThan(0);
    await expectConsistent([document_id]);
  });

  it('does not show a row of the index whose document is gone, and fills its place', async () => {
    const { document_id } = await uploadText(service(), alice, longText('larch', 4));
    const document = await ready(document_id);
    const orphan = newDocumentId();
    await bench.restart(async () => {
      const index = await openIndex();
      const vector = await bench.embedder.embedQuery('larch0 stands here.');
      const chunks = Array.from({ length: 60 }, (_, i) =>
        indexedChunk(alice, orphan, i, { text: `larch ${i}`, vector }),
      );
      await index.replaceDocument(alice, orphan, chunks);
      await index.close();
    });
    const request = { query: 'larch0 stands here.', top_k: 3, diversity: 0 };
    const { chunks } = await service().retrieveForTenant(alice, request, never);
    expect(chunks).toHaveLength(Math.min(3, document.chunk_count));
    expect(chunks.map((chunk) => chunk.document_id)).not.toContain(orphan);
  });
});

describe('indexing', () => {
  it('embeds what is new alone: documents are skipped and passages reused, until the model changes', async () => {
    let embedded = 0;
    let model = 'first';
    const bench = await createTestRag(['acme'], {
      embedder,
      wrapEmbedder: (): Embedder => ({
        ...embedder,
        id: `${embedder.id}-${model}`,
        embedPassages(texts, signal, options) {
          embedded += texts.length;
          return embedder.embedPassages(texts, signal, options);
        },
      }),
    });
    try {
      const service = () => bench.current().service;
      const add = async (text: string) => {
        const { document_id } = await uploadText(service(), alice, text, { filename: 'guide.md' });
        return finished(service(), alice, document_id);
      };
      const text = longText('rowan', 6);
      const first = await add(text);
      expect(embedded).toBe(first.chunk_count);
      expect(first.chunk_count).toBeGreaterThan(4);

      const second = await add(text.replaceAll('rowan4', 'aspen4'));
      expect(second.chunk_count).toBe(first.chunk_count);
      expect(embedded).toBe(first.chunk_count + 1);

      expect(await bench.current().store.buildIndex(alice, never)).toEqual({ queued: 0, unchanged: 2 });
      await bench.restart();
      await uploadText(service(), alice, text, { filename: 'guide.md' });
      expect(embedded).toBe(first.chunk_count + 1);

      model = 'second';
      await bench.restart();
      const search = { query: 'rowan4', top_k: 50, diversity: 0 };
      await expect
        .poll(async () => (await service().retrieveForTenant(alice, search, never)).chunks.length, PATIENTLY)
        .toBe(2 * first.chunk_count);
      // The two documents share all texts but one, which is found in the index that the first has filled.
      expect(embedded).toBe(2 * (first.chunk_count + 1));
    } finally {
      await bench.close();
    }
  });

  it('lets a user rebuild their own documents, and an admin everybody’s', async () => {
    const bench = await createTestRag(['acme'], { embedder });
    try {
      const { service, store } = bench.current();
      const admin = testContext('acme', 'root', 'admin');
      const broken = { filename: 'x.pdf', media_type: 'application/pdf' };
      const { document_id } = await uploadText(service, alice, '%PDF-1.7 broken', broken);
      await finished(service, alice, document_id);
      expect(await store.buildIndex(testContext('acme', 'bob'), never)).toEqual({ queued: 0, unchanged: 0 });
      expect(await store.buildIndex(alice, never)).toEqual({ queued: 1, unchanged: 0 });
      await finished(service, alice, document_id);
      expect(await store.buildIndex(admin, never)).toEqual({ queued: 1, unchanged: 0 });
      expect((await finished(service, alice, document_id)).status).toBe('failed');
    } finally {
      await bench.close();
    }
  });
});
