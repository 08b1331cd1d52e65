import { z } from 'zod';
import { documentIdSchema } from '#app/ids.ts';
import { pageOf } from '#app/schemas/page.ts';
import { tenantStorageSchema } from '#app/schemas/tenant-storage.ts';
import type { VaultDocument } from '#app/schemas/vault-document.ts';
import type { VaultSummary } from '#app/schemas/vault-summary.ts';
import { secondsOf } from '#router/vault/file-object.ts';

/** Every caller's one store: the documents that the credential's user sees. The same word names another vault to another caller. */
export const VECTOR_STORE_ID = 'vs_vault';

/** When the name came to be: 2026-01-01. */
const CREATED = 1_767_225_600;

export const vectorStoreParamsSchema = z.object({
  vector_store_id: z
    .literal(VECTOR_STORE_ID)
    .describe('`vs_vault`, the one that there is: all that the caller sees.'),
});
export const vectorStoreFileParamsSchema = vectorStoreParamsSchema.extend({ file_id: documentIdSchema });

const count = z.int().nonnegative();
export const vectorStoreSchema = z.object({
  id: z.literal(VECTOR_STORE_ID),
  object: z.literal('vector_store'),
  created_at: z.int(),
  name: z.string(),
  status: z.enum(['completed', 'in_progress']),
  file_counts: z.object({
    in_progress: count,
    completed: count,
    failed: count,
    cancelled: count,
    total: count,
  }),
  /** Of the original files. */
  usage_bytes: count,
  /** Ours: what the whole tenant stores and may; null for who does not administer it. */
  storage: tenantStorageSchema.nullable(),
  last_active_at: z.null(),
  metadata: z.null(),
});
export const vectorStorePageSchema = pageOf(vectorStoreSchema);
export type VectorStore = z.infer<typeof vectorStoreSchema>;

export function vectorStoreOf({ documents, bytes, storage }: VaultSummary): VectorStore {
  const { pending, indexing, ready, failed } = documents;
  const inProgress = pending + indexing;
  return {
    id: VECTOR_STORE_ID,
    object: 'vector_store',
    created_at: CREATED,
    name: 'vault',
    status: inProgress > 0 ? 'in_progress' : 'completed',
    file_counts: {
      in_progress: inProgress,
      completed: ready,
      failed,
      cancelled: 0,
      total: inProgress + ready + failed,
    },
    usage_bytes: bytes,
    storage,
    last_active_at: null,
    metadata: null,
  };
}

/** How far the indexing of a document is, as OpenAI's `vector_store.file`. */
export const vectorStoreFileSchema = z.object({
  id: documentIdSchema,
  object: z.literal('vector_store.file'),
  created_at: z.int(),
  vector_store_id: z.literal(VECTOR_STORE_ID),
  status: z.enum(['in_progress', 'completed', 'failed']),
  usage_bytes: count,
  last_error: z
    .object({ code: z.enum(['server_error', 'unsupported_file', 'invalid_file']), message: z.string() })
    .nullable(),
  attributes: z.object({}),
});
export const vectorStoreFilePageSchema = pageOf(vectorStoreFileSchema);
export type VectorStoreFile = z.infer<typeof vectorStoreFileSchema>;

const STATUS: Readonly<Record<VaultDocument['status'], VectorStoreFile['status']>> = {
  pending: 'in_progress',
  indexing: 'in_progress',
  ready: 'completed',
  failed: 'failed',
};

export const vectorStoreFileOf = (document: VaultDocument): VectorStoreFile => ({
  id: document.document_id,
  object: 'vector_store.file',
  created_at: secondsOf(document.created_at),
  vector_store_id: VECTOR_STORE_ID,
  status: STATUS[document.status],
  usage_bytes: document.byte_size,
  last_error:
    document.error === null
      ? null
      : { code: errorCodeOf(document.error.code), message: document.error.message },
  attributes: {},
});

function errorCodeOf(code: string): 'server_error' | 'unsupported_file' | 'invalid_file' {
  if (code === 'unsupported_media_type') return 'unsupported_file';
  return code === 'internal_error' ? 'server_error' : 'invalid_file';
}
