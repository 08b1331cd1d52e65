import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  type DocumentId,
  newDocumentId,
  type TenantId,
  tenantIdSchema,
  type UserId,
  userIdSchema,
} from '#app/ids.ts';
import { createLocalVaultFiles } from '#rag/files/local-vault-files.ts';
import { receiveUpload } from '#rag/files/receive-upload.ts';
import type { DocumentMetadata, DocumentPlace, VaultFiles } from '#rag/files/vault-files.ts';
import { directoryNameOfUser, documentDirectory } from '#rag/files/vault-paths.ts';

const tenant = tenantIdSchema.parse('acme');
const user = (id: string) => userIdSchema.parse(id);
const never = new AbortController().signal;
const sha256 = (bytes: string) => createHash('sha256').update(bytes).digest('hex');

let directory: string;
let files: VaultFiles;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'vault-files-'));
  files = await createLocalVaultFiles({ directory });
});
afterEach(() => rm(directory, { recursive: true, force: true }));

function metadataOf(place: DocumentPlace, byteSize: number, contentHash: string): DocumentMetadata {
  return {
    format: 1,
    tenant_id: place.tenantId,
    user_id: place.userId,
    document_id: place.documentId,
    visibility: 'private',
    collection: 'default',
    title: null,
    filename: 'note.md',
    media_type: 'text/markdown',
    byte_size: byteSize,
    content_hash: contentHash,
    created_at: new Date().toISOString(),
  };
}

async function store(text: string, userId = user('alice')): Promise<DocumentPlace> {
  const place = { tenantId: tenant, userId, documentId: newDocumentId() };
  const staged = await files.receive(Readable.from([Buffer.from(text)]), { maxBytes: 1_000, signal: never });
  const metadata = metadataOf(place, staged.byteSize, staged.contentHash);
  await staged.prepare(metadata);
  await staged.commit(metadata);
  return place;
}

const staged = async () => readdir(join(directory, '.staging')).catch(() => []);

describe('the names of users’ directories', () => {
  it('differ for users whose ids differ in case or in special characters alone', () => {
    const ids = [
      'alice',
      'Alice',
      'ALICE',
      'a.lice',
      'a_lice',
      'a|lice',
      'a:lice',
      'a-lice',
      'a+lice',
      'a@lice',
    ];
    const long = 'A'.repeat(127);
    const names = [...ids, `${long}a`, `${long}A`, `${long}b`].map((id) => directoryNameOfUser(user(id)));
    expect(new Set(names.map((name) => name.toLowerCase())).size).toBe(names.length);
    for (const name of names) {
      expect(name).toMatch(/^[a-z0-9_-]{1,200}$/);
    }
  });
});

describe('a path', () => {
  const hostile = ['..', '.', '', '../globex', 'a/b', 'a\\b', '/etc', 'a\0b', '.staging', 'ACME'];
  it.each(hostile)('of the tenant id %j is refused', (id) => {
    const place = { tenantId: id as TenantId, userId: user('alice'), documentId: newDocumentId() };
    expect(() => documentDirectory(directory, place)).toThrow('refused');
  });
  it.each(hostile)('of the document id %j is refused', (id) => {
    const place = { tenantId: tenant, userId: user('alice'), documentId: id as DocumentId };
    expect(() => documentDirectory(directory, place)).toThrow('refused');
  });
  it.each(['..', '.', '', '../bob', 'a/b', 'a\0b', '.hidden'])('of the user id %j is refused', (id) => {
    const place = { tenantId: tenant, userId: id as UserId, documentId: newDocumentId() };
    expect(() => documentDirectory(directory, place)).toThrow('refused');
  });
});

describe('an upload', () => {
  it('is kept with its size and hash, and read back', async () => {
    const place = await store('hello');
    expect(await files.readMetadata(place)).toMatchObject({ byte_size: 5, content_hash: sha256('hello') });
    expect((await buffer(await files.openOriginal(place))).toString()).toBe('hello');
    expect((await files.readOriginal(place, sha256('hello'))).toString()).toBe('hello');
    expect(await staged()).toEqual([]);
  });

  it('above the limit is refused, leaves nothing, and leaves the body open', async () => {
    const body = Readable.from(Array.from({ length: 50 }, () => Buffer.alloc(100)));
    await expect(files.receive(body, { maxBytes: 1_000, signal: never })).rejects.toMatchObject({
      code: 'body_too_large',
      param: 'file',
    });
    expect(body.destroyed).toBe(false);
    expect(await staged()).toEqual([]);
    body.destroy();
  });

  it('of exactly the limit is taken', async () => {
    const staging = await files.receive(Readable.from([Buffer.alloc(1_000)]), {
      maxBytes: 1_000,
      signal: never,
    });
    expect(staging.byteSize).toBe(1_000);
    await staging.discard();
    expect(await staged()).toEqual([]);
  });

  it('that breaks off leaves nothing', async () => {
    const body = new PassThrough();
    body.write('half');
    setImmediate(() => body.destroy(new Error('socket hang up')));
    await expect(files.receive(body, { maxBytes: 1_000, signal: never })).rejects.toMatchObject({
      code: 'client_closed',
    });
    expect(await staged()).toEqual([]);
  });

  it('that is destroyed without an error leaves nothing', async () => {
    const body = new PassThrough();
    body.write('half');
    setImmediate(() => body.destroy());
    await expect(files.receive(body, { maxBytes: 1_000, signal: never })).rejects.toMatchObject({
      code: 'client_closed',
    });
    expect(await staged()).toEqual([]);
  });

  it('that is aborted while it waits for bytes leaves nothing', async () => {
    const controller = new AbortController();
    const body = new PassThrough();
    body.write('half');
    setImmediate(() => controller.abort());
    await expect(files.receive(body, { maxBytes: 1_000, signal: controller.signal })).rejects.toThrow(
      /abort/i,
    );
    expect(await staged()).toEqual([]);
  });

  it('that stalls is given up', async () => {
    const path = join(directory, 'stalled');
    await expect(
      receiveUpload(new PassThrough(), path, { maxBytes: 1_000, signal: never, idleTimeoutMs: 20 }),
    ).rejects.toMatchObject({ code: 'client_closed' });
  });

  it('that a killed process left is removed at the next start', async () => {
    await mkdir(join(directory, '.staging', 'left'), { recursive: true });
    await writeFile(join(directory, '.staging', 'left', 'original'), 'half');
    await files.removeUnfinished();
    expect(await staged()).toEqual([]);
  });
});

describe('the files of a document', () => {
  it('are not found for another user or tenant', async () => {
    const place = await store('secret');
    const others = [
      { ...place, userId: user('bob') },
      { ...place, tenantId: tenantIdSchema.parse('globex') },
      { ...place, documentId: newDocumentId() },
    ];
    for (const other of others) {
      await expect(files.openOriginal(other)).rejects.toMatchObject({ code: 'not_found' });
      await expect(files.readText(other)).rejects.toMatchObject({ code: 'not_found' });
      await files.remove(other);
    }
    expect((await buffer(await files.openOriginal(place))).toString()).toBe('secret');
  });

  it('are refused when they lie in another user’s directory', async () => {
    const place = await store('secret');
    const moved = { ...place, userId: user('bob') };
    await mkdir(join(directory, 'acme', 'bob'));
    await rename(documentDirectory(directory, place), documentDirectory(directory, moved));
    await expect(files.openOriginal(moved)).rejects.toMatchObject({ code: 'internal_error' });
  });

  it('are not reached through symbolic links', async () => {
    const place = await store('secret');
    await mkdir(join(directory, 'globex'));
    await symlink(join(directory, 'acme', 'alice'), join(directory, 'globex', 'alice'));
    const linked = { ...place, tenantId: tenantIdSchema.parse('globex') };
    await expect(files.openOriginal(linked)).rejects.toMatchObject({ code: 'not_found' });
    await files.remove(linked);

    const path = documentDirectory(directory, place);
    await rm(join(path, 'original'));
    await symlink('/etc/hostname', join(path, 'original'));
    await expect(files.openOriginal(place)).rejects.toMatchObject({ code: 'internal_error' });
  });

  it('do not pass for whole when the original was changed', async () => {
    const place = await store('before');
    await writeFile(join(documentDirectory(directory, place), 'original'), 'after!');
    await expect(files.readOriginal(place, sha256('before'))).rejects.toMatchObject({
      code: 'unreadable_document',
    });
  });

  it('keep the extracted text, replaced in one step', async () => {
    const place = await store('x');
    await expect(files.readText(place)).rejects.toMatchObject({ code: 'not_found' });
    for (const text of ['one', 'two']) {
      await files.writeText(place, { content_hash: sha256('x'), pages: [{ page: 1, text }] });
      expect((await files.readText(place)).pages).toEqual([{ page: 1, text }]);
    }
    expect((await readdir(documentDirectory(directory, place))).sort()).toEqual([
      'metadata.json',
      'original',
      'text.json',
    ]);
  });

  it('are gone after removal, which may be repeated; text is not written into what is gone', async () => {
    const place = await store('x');
    await files.remove(place);
    await files.remove(place);
    await expect(files.readMetadata(place)).rejects.toMatchObject({ code: 'not_found' });
    await expect(files.writeText(place, { content_hash: '', pages: [] })).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('are listed by tenant, but for known ones', async () => {
    const places = [
      await store('a'),
      await store('b', user('Bob|1')),
      await store('c', user('A'.repeat(128))),
    ];
    const list = async (except: string[]) => {
      const found: DocumentPlace[] = [];
      for await (const place of files.listPlaces(tenant, { except: new Set(except) })) found.push(place);
      return found.sort((a, b) => (a.documentId < b.documentId ? -1 : 1));
    };
    const sorted = [...places].sort((a, b) => (a.documentId < b.documentId ? -1 : 1));
    expect(await list([])).toEqual(sorted);
    expect(await list(sorted.slice(1).map((place) => place.documentId))).toEqual(sorted.slice(0, 1));
    for await (const place of files.listPlaces(tenantIdSchema.parse('globex'), { except: new Set() })) {
      expect.unreachable(place.documentId);
    }
  });
});
