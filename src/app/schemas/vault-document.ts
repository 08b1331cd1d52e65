import { z } from 'zod';
import { documentIdSchema, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { retrievedChunkSchema, visibilitySchema } from '#app/schemas/multi-tenant-vault-chunk.ts';

/** `pending` → `indexing` → `ready` or `failed`; a failed document keeps its file and says why. */
export const documentStatusSchema = z.enum(['pending', 'indexing', 'ready', 'failed']);

export const vaultDocumentSchema = z.object({
  document_id: documentIdSchema,
  tenant_id: tenantIdSchema,
  user_id: userIdSchema,
  visibility: visibilitySchema,
  title: z.string(),
  filename: z.string(),
  media_type: z.string(),
  byte_size: z.int().nonnegative(),
  content_hash: z.string(),
  status: documentStatusSchema,
  /** Chunks indexed so far and in all, while the status is `indexing`. */
  progress: z.object({ done: z.int(), total: z.int() }).nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  chunk_count: z.int().nonnegative(),
  page_count: z.int().positive().nullable(),
  created_at: z.string(),
  updated_at: z.string(),
});
export type VaultDocument = z.infer<typeof vaultDocumentSchema>;

/** Names are shown, logged and stored: PostgreSQL holds no NUL, and terminals obey escapes. */
const WITHOUT_CONTROL_CHARACTERS = /^\P{Cc}*$/u;
const label = z.string().regex(WITHOUT_CONTROL_CHARACTERS, 'must not hold control characters');

/** What accompanies an uploaded file. */
export const documentUploadSchema = z.object({
  filename: label.min(1).max(255),
  media_type: label.min(1).max(200),
  title: label.trim().min(1).max(300).optional(),
  visibility: visibilitySchema,
});
export type DocumentUpload = z.infer<typeof documentUploadSchema>;

export const retrieveRequestSchema = z.object({
  query: z.string().trim().min(1).max(10_000),
  top_k: z.int().min(1).max(50),
  diversity: z.number().min(0).max(1),
  document_ids: z.array(documentIdSchema).min(1).max(100).optional(),
});
export type RetrieveRequest = z.infer<typeof retrieveRequestSchema>;

export const retrieveResultSchema = z.object({
  chunks: z.array(retrievedChunkSchema),
  /** Milliseconds spent. */
  timings: z.object({ embed_ms: z.number(), search_ms: z.number() }),
});
export type RetrieveResult = z.infer<typeof retrieveResultSchema>;
