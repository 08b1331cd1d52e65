import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, realpath, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import type { z } from 'zod';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { documentIdSchema } from '#app/ids.ts';
import {
  DIRECTORY_MODE,
  hasCode,
  openPlainFile,
  replaceFile,
  syncDirectory,
  writeNewFile,
} from '#rag/files/durable-files.ts';
import { receiveUpload } from '#rag/files/receive-upload.ts';
import {
  type DocumentMetadata,
  type DocumentPlace,
  documentMetadataSchema,
  extractedTextSchema,
  type StagedFile,
  type VaultFiles,
} from '#rag/files/vault-files.ts';
import { directoryNameOfUser, documentDirectory, tenantDirectory } from '#rag/files/vault-paths.ts';

const ORIGINAL = 'original';
const METADATA = 'metadata.json';
const TEXT = 'text.json';
/** No tenant id starts with a dot. */
const STAGING = '.staging';

/** The vault on a local disk. `directory` is made when it is absent; one process at a time may use it. */
export async function createLocalVaultFiles({ directory }: { directory: string }): Promise<VaultFiles> {
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  // From here on every directory must be its own real path: a symbolic link below it is refused.
  const root = await realpath(directory);
  const staging = join(root, STAGING);

  async function find(place: DocumentPlace): Promise<string> {
    const path = documentDirectory(root, place);
    if ((await realPathOrNull(path)) !== path) throw notFound('document');
    return path;
  }

  async function readJson<Schema extends z.ZodType>(path: string, schema: Schema): Promise<z.output<Schema>> {
    const handle = await openOrNotFound(path);
    try {
      return schema.parse(JSON.parse(await handle.readFile('utf8')));
    } finally {
      await handle.close();
    }
  }

  /** The directory of a document whose own metadata says that it is of this tenant and user. */
  async function findChecked(place: DocumentPlace): Promise<{ path: string; metadata: DocumentMetadata }> {
    const path = await find(place);
    const metadata = await readJson(join(path, METADATA), documentMetadataSchema);
    if (!belongsTo(metadata, place)) {
      throw new BulkheadError('internal_error', 'A document’s files were refused.', {
        cause: new Error(`the metadata of ${place.documentId} names another tenant, user or document`),
      });
    }
    return { path, metadata };
  }

  async function prepare(from: string, metadata: DocumentMetadata): Promise<void> {
    await writeNewFile(join(from, METADATA), JSON.stringify(metadata));
    await syncDirectory(from);
  }

  async function commit(from: string, metadata: DocumentMetadata): Promise<void> {
    const target = documentDirectory(root, {
      tenantId: metadata.tenant_id,
      userId: metadata.user_id,
      documentId: metadata.document_id,
    });
    const parent = dirname(target);
    await mkdir(parent, { recursive: true, mode: DIRECTORY_MODE });
    if ((await realpath(parent)) !== parent) {
      throw new BulkheadError('internal_error', 'A file path was refused.');
    }
    await rename(from, target);
    await syncDirectory(parent);
    await syncDirectory(dirname(parent));
  }

  return {
    async receive(body, options) {
      // Before the first await: the body may fail before it is read.
      withErrorListener(body);
      const path = join(staging, randomBytes(16).toString('hex'));
      await mkdir(path, { recursive: true, mode: DIRECTORY_MODE });
      const discard = () => rm(path, { recursive: true, force: true });
      try {
        const received = await receiveUpload(body, join(path, ORIGINAL), options);
        const staged: StagedFile = {
          ...received,
          prepare: (metadata) => prepare(path, metadata),
          commit: (metadata) => commit(path, metadata),
          discard,
        };
        return staged;
      } catch (error) {
        await discard();
        throw error;
      }
    },

    async readMetadata(place) {
      return (await findChecked(place)).metadata;
    },

    async openOriginal(place): Promise<Readable> {
      const { path } = await findChecked(place);
      const handle = await openOrNotFound(join(path, ORIGINAL));
      return withErrorListener(handle.createReadStream());
    },

    async readOriginal(place, contentHash) {
      const { path } = await findChecked(place);
      const handle = await openOrNotFound(join(path, ORIGINAL));
      try {
        const bytes = await handle.readFile();
        if (createHash('sha256').update(bytes).digest('hex') === contentHash) return bytes;
      } finally {
        await handle.close();
      }
      throw new BulkheadError('unreadable_document', 'The stored file is damaged. Upload it again.');
    },

    async writeText(place, text) {
      const { path } = await findChecked(place);
      try {
        await replaceFile(join(path, TEXT), JSON.stringify(text));
      } catch (error) {
        throw hasCode(error, 'ENOENT') ? notFound('document') : error;
      }
    },

    async readText(place) {
      const { path } = await findChecked(place);
      return readJson(join(path, TEXT), extractedTextSchema);
    },

    async remove(place) {
      const path = documentDirectory(root, place);
      if ((await realPathOrNull(path)) !== path) return;
      await rm(path, { recursive: true, force: true });
      // The removal must last: a document that a power cut brings back would be taken for one without a row.
      await syncDirectory(dirname(path));
    },

    async removeTenant(tenantId) {
      const path = tenantDirectory(root, tenantId);
      if ((await realPathOrNull(path)) !== path) return;
      await rm(path, { recursive: true, force: true });
      await syncDirectory(root);
    },

    async *listPlaces(tenantId, { except }) {
      const directoryOfTenant = tenantDirectory(root, tenantId);
      for (const user of await directoriesIn(directoryOfTenant)) {
        for (const document of await directoriesIn(join(directoryOfTenant, user))) {
          const documentId = documentIdSchema.safeParse(document);
          if (!documentId.success || except.has(document)) continue;
          const place = await placeOf(join(directoryOfTenant, user, document));
          const fits = place?.tenantId === tenantId && place.documentId === documentId.data;
          if (fits && directoryNameOfUser(place.userId) === user) yield place;
        }
      }
    },

    async removeUnfinished() {
      await rm(staging, { recursive: true, force: true });
    },
  };

  /** The directory name does not tell the user id back when it is long, so the metadata is asked. */
  async function placeOf(path: string): Promise<DocumentPlace | null> {
    try {
      const metadata = await readJson(join(path, METADATA), documentMetadataSchema);
      return {
        tenantId: metadata.tenant_id,
        userId: metadata.user_id,
        documentId: metadata.document_id,
      };
    } catch {
      return null;
    }
  }
}

const belongsTo = (metadata: DocumentMetadata, place: DocumentPlace): boolean =>
  metadata.tenant_id === place.tenantId &&
  metadata.user_id === place.userId &&
  metadata.document_id === place.documentId;

async function openOrNotFound(path: string) {
  try {
    return await openPlainFile(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) throw notFound('document');
    throw new BulkheadError('internal_error', `The file ${basename(path)} cannot be opened.`, {
      cause: error,
    });
  }
}

async function realPathOrNull(path: string): Promise<string | null> {
  try {
    return await realpath(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return null;
    throw error;
  }
}

/** Real directories only, links left out; none where the parent is absent. */
async function directoriesIn(path: string): Promise<string[]> {
  try {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR')) return [];
    throw error;
  }
}
