import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { FastifyInstance } from 'fastify';
import { exportPKCS8, exportSPKI, generateKeyPair } from 'jose';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDrain } from '#app/http/drain.ts';
import { createInternalTokenMinter, createInternalTokenVerifier } from '#app/http/internal-token.ts';
import { newDocumentId } from '#app/ids.ts';
import type { DocumentUpload } from '#app/schemas/vault-document.ts';
import { createRagClient } from '#app/services/rag-client.ts';
import type { RagService } from '#app/services/rag-service.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { silentLogger } from '#observability/logger.ts';
import { buildRagApp } from '#rag/app.ts';
import {
  createTestRag,
  finished,
  MAX_TEST_DOCUMENT_BYTES,
  type TestRag,
  uploadText,
} from '#test/support/create-test-rag.ts';
import { testContext } from '#test/support/test-context.ts';

const never = new AbortController().signal;
const alice = testContext('acme', 'alice');
const bob = testContext('acme', 'bob');
const admin = testContext('acme', 'root', 'admin');
const service = testContext('acme', 'alice', 'service');
const eve = testContext('globex', 'alice');

let bench: TestRag;
let app: FastifyInstance;
let client: ReturnType<typeof createRagClient>;
beforeAll(async () => {
  bench = await createTestRag(['acme', 'globex']);
  const pair = await generateKeyPair('EdDSA', { extractable: true });
  const verifier = await createInternalTokenVerifier(await exportSPKI(pair.publicKey), 'rag-service');
  const settings = { MAX_BODY_BYTES: 100_000, MAX_DOCUMENT_BYTES: MAX_TEST_DOCUMENT_BYTES };
  app = buildRagApp({
    service: bench.current().service,
    verifier,
    settings,
    logger: silentLogger,
    drain: createDrain(),
    dependencies: () => ({}),
  });
  const baseUrl = await app.listen({ port: 0, host: '127.0.0.1' });
  const tokens = await createInternalTokenMinter(await exportPKCS8(pair.privateKey));
  client = createRagClient({ baseUrl, tokens });
});
afterAll(async () => {
  await client.close();
  await app.close();
  await bench.close();
});

const HOOKS = `# Hooks

## Order

The onRequest hook runs before the body is parsed, and the preHandler hook runs after validation.

## Errors

A hook that throws stops the request; its error goes to the error handler.
`;

describe.each([
  ['in process', () => bench.current().service],
  ['over HTTP', () => client],
] as [string, () => RagService][])('the RAG service %s', (shape, get) => {
  const retrieve = (context: TenantContext, query: string, more: { document_ids?: never[] } = {}) =>
    get().retrieveForTenant(context, { query, top_k: 5, diversity: 0.2, ...more }, never);

  async function add(context: TenantContext, text: string, upload: Parameters<typeof uploadText>[3] = {}) {
    const { document_id } = await uploadText(get(), context, text, upload);
    const document = await finished(get(), context, document_id);
    expect(document).toMatchObject({ status: 'ready', error: null });
    return document;
  }

  it('stores, indexes and finds a document, and opens the cited passage', async () => {
    const owner = testContext('acme', `reader-${shape.length}`);
    const document = await add(owner, HOOKS, { filename: 'Hooks ünd "mehr".md' });
    expect(document).toMatchObject({
      tenant_id: 'acme',
      user_id: owner.userId,
      title: 'Hooks',
      filename: 'Hooks ünd "mehr".md',
      byte_size: Buffer.byteLength(HOOKS),
      page_count: null,
      progress: null,
    });
    const { chunks, timings } = await retrieve(owner, 'when does the preHandler hook run?');
    expect(chunks.length).toBe(document.chunk_count);
    expect(timings.embed_ms).toBeGreaterThanOrEqual(0);
    const [best] = chunks;
    expect(best?.text).toContain('preHandler');
    expect(best).toMatchObject({ document_id: document.document_id, content_hash: document.content_hash });
    const text = await get().readDocumentText(owner, document.document_id, never);
    const page = text.pages.find((each) => each.page === best?.page);
    expect(page?.text.slice(best?.start_offset, best?.end_offset)).toBe(best?.text);
    const content = await get().readDocument(owner, document.document_id, never);
    expect((await buffer(content.body)).toString()).toBe(HOOKS);
    expect(content.document.document_id).toBe(document.document_id);
  });

  it('answers another tenant, and another user, as if the document did not exist', async () => {
    const secret = await add(alice, `The launch code of ${shape} is heliotrope.`, { title: `t ${shape}` });
    const failure = async (work: Promise<unknown>) => {
      const error = await work.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ code: 'not_found' });
      return { message: (error as Error).message, param: (error as { param?: string }).param };
    };
    for (const stranger of [eve, bob, admin]) {
      for (const attempt of [
        (id: typeof secret.document_id) => get().getDocument(stranger, id, never),
        (id: typeof secret.document_id) => get().readDocument(stranger, id, never),
        (id: typeof secret.document_id) => get().readDocumentText(stranger, id, never),
        (id: typeof secret.document_id) => get().deleteDocument(stranger, id, never),
      ]) {
        expect(await failure(attempt(secret.document_id))).toEqual(await failure(attempt(newDocumentId())));
      }
      const request = { query: 'launch code heliotrope', top_k: 50, diversity: 0 };
      const everything = await get().retrieveForTenant(stranger, request, never);
      expect(JSON.stringify(everything.chunks)).not.toContain(`of ${shape} is`);
      const aimed = { ...request, document_ids: [secret.document_id] };
      expect((await get().retrieveForTenant(stranger, aimed, never)).chunks).toEqual([]);
      const page = await get().listDocuments(stranger, { limit: 100 }, never);
      expect(page.data.map((each) => each.document_id)).not.toContain(secret.document_id);
    }
    expect(JSON.stringify((await retrieve(alice, 'launch code heliotrope')).chunks)).toContain(
      `of ${shape} is`,
    );
  });

  it('shares a document with the tenant: all read it, its owner and an admin delete it', async () => {
    const text = `Holidays ${shape}: the office closes on Tuesday.`;
    const shared = await add(service, text, { visibility: 'tenant', filename: `holidays-${shape}.md` });
    expect((await get().getDocument(bob, shared.document_id, never)).visibility).toBe('tenant');
    const request = { query: text, top_k: 3, diversity: 0, document_ids: [shared.document_id] };
    expect((await get().retrieveForTenant(bob, request, never)).chunks).toHaveLength(1);
    expect((await get().retrieveForTenant(eve, request, never)).chunks).toEqual([]);
    await expect(get().getDocument(eve, shared.document_id, never)).rejects.toMatchObject({
      code: 'not_found',
    });
    // He sees it, so he is told why; she does not.
    await expect(get().deleteDocument(bob, shared.document_id, never)).rejects.toMatchObject({
      code: 'missing_scope',
      param: 'document_id',
    });
    await expect(get().deleteDocument(eve, shared.document_id, never)).rejects.toMatchObject({
      code: 'not_found',
    });
    await get().deleteDocument(admin, shared.document_id, never);
    expect((await get().retrieveForTenant(alice, request, never)).chunks).toEqual([]);
  });

  it('shares with a scope for it alone', async () => {
    await expect(uploadText(get(), alice, 'x', { visibility: 'tenant' })).rejects.toMatchObject({
      code: 'missing_scope',
      param: 'visibility',
      message: expect.stringContaining('vault:share'),
    });
  });

  it('forgets a deleted document before the call returns', async () => {
    const document = await add(alice, `Ephemeral ${shape}: quicksilver.`);
    await get().deleteDocument(alice, document.document_id, never);
    expect(JSON.stringify((await retrieve(alice, 'quicksilver')).chunks)).not.toContain(`Ephemeral ${shape}`);
    const attempts = [
      () => get().getDocument(alice, document.document_id, never),
      () => get().readDocument(alice, document.document_id, never),
      () => get().deleteDocument(alice, document.document_id, never),
    ];
    for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: 'not_found' });
  });

  it('deletes a document while it is indexed, and nothing of it comes back', async () => {
    const long = Array.from(
      { length: 60 },
      (_, i) => `## Part ${i}\n\n${`zephyr ${shape} ${i} `.repeat(80)}`,
    ).join('\n');
    const owner = testContext('acme', `deleter-${shape.length}`);
    const { document_id } = await uploadText(get(), owner, long);
    for (;;) {
      if ((await get().getDocument(owner, document_id, never)).status === 'indexing') break;
    }
    await get().deleteDocument(owner, document_id, never);
    // A tenant’s documents of one lane are in order: when this one is ready, the job of the deleted one has ended.
    await add(owner, `After ${shape}. `.repeat(1_200));
    const request = { query: 'zephyr', top_k: 50, diversity: 0 };
    const { chunks } = await get().retrieveForTenant(owner, request, never);
    expect(chunks.map((chunk) => chunk.document_id)).not.toContain(document_id);
    const directories = await readdir(join(bench.dataDirectory, 'vault', 'acme', owner.userId));
    expect(directories).not.toContain(document_id);
  });

  it('refuses at once what no parser takes, and keeps nothing of it', async () => {
    const owner = testContext('acme', `wrong-${shape.length}`);
    const png = Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), Buffer.alloc(20_000)]);
    const attempts: [content: Buffer, upload: Partial<DocumentUpload>, code: string][] = [
      [Buffer.alloc(0), {}, 'unreadable_document'],
      [png, { filename: 'picture.png', media_type: 'image/png' }, 'unsupported_media_type'],
      [png, { filename: 'disguised.md' }, 'unsupported_media_type'],
      [Buffer.from('Plain.'), { filename: 'a.pdf', media_type: 'application/pdf' }, 'unsupported_media_type'],
      [Buffer.from('x'), { filename: 'a.zzz', media_type: 'video/mp4' }, 'unsupported_media_type'],
    ];
    for (const [content, upload, code] of attempts) {
      await expect(uploadText(get(), owner, content, upload)).rejects.toMatchObject({ code, param: 'file' });
    }
    expect((await get().listDocuments(owner, { limit: 10 }, never)).data).toEqual([]);
    const kept = await readdir(join(bench.dataDirectory, 'vault', 'acme', owner.userId)).catch(() => []);
    expect(kept).toEqual([]);
  });

  it('counts what a user sees, and nothing of others', async () => {
    const owner = testContext('acme', `counter-${shape.length}`);
    const nobody = testContext('acme', `nobody-${shape.length}`);
    const before = await get().summariseVault(nobody, never);
    const { byte_size } = await add(owner, `Counted ${shape}.`);
    const after = await get().summariseVault(owner, never);
    expect(after.documents.ready).toBe(before.documents.ready + 1);
    expect(after.bytes).toBe(before.bytes + byte_size);
    // The other user sees what is shared alone, as before; and so does everybody of another tenant.
    expect(await get().summariseVault(nobody, never)).toEqual(before);
    const page = await get().listDocuments(eve, { limit: 100 }, never);
    const { documents, bytes } = await get().summariseVault(eve, never);
    expect(Object.values(documents).reduce((sum, count) => sum + count)).toBe(page.data.length);
    expect(bytes).toBe(page.data.reduce((sum, document) => sum + document.byte_size, 0));
  });

  it('takes the same upload again for the same document, and another for another', async () => {
    const text = `Repeated ${shape}.`;
    const first = await add(alice, text);
    expect((await uploadText(get(), alice, text)).document_id).toBe(first.document_id);
    const both = await Promise.all([
      uploadText(get(), alice, `${text}!`),
      uploadText(get(), alice, `${text}!`),
    ]);
    expect(both[0]?.document_id).toBe(both[1]?.document_id);
    expect((await uploadText(get(), alice, text, { filename: 'b.md' })).document_id).not.toBe(
      first.document_id,
    );
    expect((await uploadText(get(), bob, text)).document_id).not.toBe(first.document_id);
  });

  it('says why a document failed, and keeps its file', async () => {
    const { document_id } = await uploadText(get(), alice, `%PDF-1.7 ${shape} broken`, {
      filename: 'broken.pdf',
      media_type: 'application/pdf',
    });
    const document = await finished(get(), alice, document_id);
    expect(document).toMatchObject({
      status: 'failed',
      error: { code: 'unreadable_document' },
      chunk_count: 0,
    });
    expect(document.error?.message).toBeTruthy();
    const { body } = await get().readDocument(alice, document_id, never);
    expect((await buffer(body)).toString()).toContain('broken');
    await expect(get().readDocumentText(alice, document_id, never)).rejects.toMatchObject({
      code: 'conflict',
    });
    await get().deleteDocument(alice, document_id, never);
  });

  it('refuses what is too large, and takes nothing of an upload that breaks off', async () => {
    const owner = testContext('acme', `uploader-${shape.length}`);
    const label = { filename: 'a.txt', media_type: 'text/plain', visibility: 'private' } as const;
    const large = Readable.from(Array.from({ length: 30 }, () => Buffer.alloc(10_000, 'a')));
    await expect(get().addDocument(owner, label, large, never)).rejects.toMatchObject({
      code: 'body_too_large',
    });
    // Whoever holds the body's connection can still answer on it.
    expect(large.errored).toBeNull();
    large.destroy();

    const broken = new PassThrough();
    broken.write('half');
    setTimeout(() => broken.destroy(new Error('socket hang up')), 30);
    await expect(get().addDocument(owner, label, broken, never)).rejects.toMatchObject({
      code: 'client_closed',
    });

    const left = new AbortController();
    const stalled = new PassThrough();
    stalled.write('half');
    setTimeout(() => left.abort(), 30);
    await expect(get().addDocument(owner, label, stalled, left.signal)).rejects.toThrow(/abort/i);

    expect((await get().listDocuments(owner, { limit: 10 }, never)).data).toEqual([]);
    const staging = () => readdir(join(bench.dataDirectory, 'vault', '.staging'));
    await expect.poll(staging, { timeout: 30_000 }).toEqual([]);
  });

  it('lists and searches one collection, a page at a time, within those of the credential', async () => {
    const owner = testContext('globex', `collector-${shape.length}`);
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      const collection = i % 2 === 0 ? 'legal' : 'sales';
      const { document_id } = await add(owner, `The contract ${i} is signed.`, { collection });
      if (collection === 'legal') ids.unshift(document_id);
    }
    const within = (context: TenantContext, collection: string, after?: string) =>
      get().listDocuments(
        context,
        { limit: 2, collection, ...(after === undefined ? {} : { after }) },
        never,
      );
    const first = await within(owner, 'legal');
    expect([first.data.map((each) => each.document_id), first.has_more]).toEqual([ids.slice(0, 2), true]);
    const second = await within(owner, 'legal', first.last_id ?? '');
    expect([second.data.map((each) => each.document_id), second.has_more]).toEqual([ids.slice(2), false]);

    const found = async (context: TenantContext, collection: string) => {
      const request = { query: 'contract signed', top_k: 10, diversity: 0, collection };
      const { chunks } = await get().retrieveForTenant(context, request, never);
      return chunks.map((chunk) => chunk.collection);
    };
    expect(await found(owner, 'legal')).toEqual(['legal', 'legal', 'legal']);
    const sales: TenantContext = { ...owner, collections: ['sales'] };
    expect(await found(sales, 'sales')).toEqual(['sales', 'sales', 'sales']);
    for (const other of ['legal', 'nowhere']) {
      expect(await found(sales, other)).toEqual([]);
      expect((await within(sales, other)).data).toEqual([]);
    }
  });

  it('lists documents a page at a time, newest first', async () => {
    const owner = testContext('globex', `lister-${shape.length}`);
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.unshift((await uploadText(get(), owner, `Page test ${i}`)).document_id);
    const first = await get().listDocuments(owner, { limit: 3 }, never);
    expect([first.data.map((each) => each.document_id), first.has_more]).toEqual([ids.slice(0, 3), true]);
    const second = await get().listDocuments(owner, { limit: 3, after: first.last_id ?? '' }, never);
    expect([second.data.map((each) => each.document_id), second.has_more]).toEqual([ids.slice(3), false]);
    await expect(get().listDocuments(owner, { limit: 3, after: "' OR '1'='1" }, never)).rejects.toMatchObject(
      {
        code: 'invalid_request',
        param: 'after',
      },
    );
  });

  it.each([
    "' OR '1'='1",
    '../../etc/passwd',
    'a\u202e\ufeff\u0000b',
    '"; DROP TABLE documents; --',
    '😀'.repeat(60),
  ])('takes %j for a name, a title and a question', async (text) => {
    const owner = testContext('globex', `hostile-${shape.length}`);
    // PostgreSQL holds no NUL.
    const name = text.replaceAll('\0', '');
    const document = await add(owner, `About ${text} in ${shape}.`, { filename: name, title: name });
    expect(document).toMatchObject({ filename: name, title: name });
    const { chunks } = await retrieve(owner, `${text} ?`);
    expect(chunks.every((chunk) => chunk.user_id === owner.userId)).toBe(true);
    expect(chunks.length).toBeGreaterThan(0);
  });

  it('indexes notes of the same and of another tenant while a large file is indexed', async () => {
    const service = get();
    const large = Array.from(
      { length: 1_500 },
      (_, i) => `Section ${i}: ${'the order of hooks matters '.repeat(4)}.`,
    );
    const { document_id } = await uploadText(service, alice, large.join('\n\n'), { filename: 'large.md' });
    const notes = [alice, eve].map(async (context) => {
      const note = await uploadText(service, context, `A note of ${context.tenantId}.`, {
        filename: 'note.md',
      });
      return finished(service, context, note.document_id);
    });
    expect((await Promise.all(notes)).map(({ status }) => status)).toEqual(['ready', 'ready']);
    const { status } = await service.getDocument(alice, document_id, never);
    expect(['pending', 'indexing']).toContain(status);
    await service.deleteDocument(alice, document_id, never);
  });

  it('stops when the caller has left', async () => {
    const gone = AbortSignal.abort(new DOMException('left', 'AbortError'));
    const request = { query: 'x', top_k: 1, diversity: 0 };
    await expect(get().retrieveForTenant(alice, request, gone)).rejects.toThrow('left');
    await expect(get().getDocument(alice, newDocumentId(), gone)).rejects.toThrow('left');
  });

  it('is ready', async () => {
    await get().checkReady(never);
  });
});
