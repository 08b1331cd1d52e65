import { z } from 'zod';
import { documentIdSchema, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { collectionSchema } from '#app/schemas/collection.ts';
import { retrievedChunkSchema, visibilitySchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import { pageOf, pageRequestSchema } from '#app/schemas/page.ts';
import { WITHOUT_CONTROL_CHARACTERS } from '#app/schemas/without-control-characters.ts';

/** `pending` → `indexing` → `ready` or `failed`; a failed document keeps its file and says why. */
export const documentStatusSchema = z.enum(['pending', 'indexing', 'ready', 'failed']);

export const vaultDocumentSchema = z.object({
  document_id: documentIdSchema,
  tenant_id: tenantIdSchema,
  user_id: userIdSchema,
  visibility: visibilitySchema,
  collection: collectionSchema,
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
export const vaultDocumentPageSchema = pageOf(vaultDocumentSchema);
export type VaultDocument = z.infer<typeof vaultDocumentSchema>;

/** Names are shown, logged and stored: PostgreSQL holds no NUL, and terminals obey escapes. */
const label = z.string().regex(WITHOUT_CONTROL_CHARACTERS, 'must not hold control characters');

/** What accompanies an uploaded file. */
export const documentUploadSchema = z.object({
  filename: label.min(1).max(255),
  media_type: label.min(1).max(200),
  title: label
    .trim()
    .min(1)
    .max(300)
    .optional()
    .describe('How it is cited. Absent: its own title, or the file’s name.'),
  visibility: visibilitySchema,
  /** Absent: `default`, or the one that the credential is limited to. */
  collection: collectionSchema.optional(),
});
export type DocumentUpload = z.infer<typeof documentUploadSchema>;

/** Narrows to one collection, of those that the credential reaches: any other name is one of nothing. */
const withinCollection = collectionSchema
  .describe('Only documents of this collection. None where there is none that the credential reaches.')
  .optional();

export const documentListRequestSchema = pageRequestSchema.extend({ collection: withinCollection });
export type DocumentListRequest = z.infer<typeof documentListRequestSchema>;

export const retrieveRequestSchema = z.object({
  query: z.string().trim().min(1).max(10_000).describe('What is looked for, in plain words.'),
  top_k: z.int().min(1).max(50).describe('The most passages.'),
  diversity: z
    .number()
    .min(0)
    .max(1)
    .describe('0: relevance alone. 1: as different from one another as possible.'),
  document_ids: z
    .array(documentIdSchema)
    .min(1)
    .max(100)
    .optional()
    .describe('Only passages of these documents.'),
  collection: withinCollection,
});
export type RetrieveRequest = z.infer<typeof retrieveRequestSchema>;

export const retrieveResultSchema = z.object({
  chunks: z.array(retrievedChunkSchema),
  /** Milliseconds spent. */
  timings: z.object({ embed_ms: z.number(), search_ms: z.number() }),
});
export type RetrieveResult = z.infer<typeof retrieveResultSchema>;
