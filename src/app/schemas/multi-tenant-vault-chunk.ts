import { z } from 'zod';
import { chunkIdSchema, documentIdSchema, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { collectionSchema } from '#app/schemas/collection.ts';

/** `private`: only its owner sees it. `tenant`: every user of the tenant does. */
export const visibilitySchema = z
  .enum(['private', 'tenant'])
  .describe('`private`: its uploader alone sees it. `tenant`: all of the tenant do.');
export type Visibility = z.infer<typeof visibilitySchema>;

/** A passage of a tenant's document: what is embedded, searched and cited. */
export const multiTenantVaultChunkSchema = z.strictObject({
  chunk_id: chunkIdSchema,
  tenant_id: tenantIdSchema,
  /** The owner of the document. */
  user_id: userIdSchema,
  visibility: visibilitySchema,
  collection: collectionSchema,
  document_id: documentIdSchema,
  title: z.string(),
  /** The place of the chunk in its document, from 0. */
  ordinal: z.int().nonnegative(),
  text: z.string().min(1),
  /** Headings from the document's top to this passage. */
  heading_path: z.array(z.string()),
  /** From 1, for formats that have pages. */
  page: z.int().positive().nullable(),
  /** UTF-16 offsets of `text` in the document's extracted text (of the page, where there are pages). */
  start_offset: z.int().nonnegative(),
  end_offset: z.int().nonnegative(),
  /** Tokens by the embedding model's tokenizer. */
  token_count: z.int().positive(),
  /** SHA-256 of the original file, hex: which version of the document the chunk was made from. */
  content_hash: z.string().regex(/^[0-9a-f]{64}$/),
});
export type MultiTenantVaultChunk = z.infer<typeof multiTenantVaultChunkSchema>;

/** A chunk that a search returned, best first. `score` orders within one answer only. */
export const retrievedChunkSchema = multiTenantVaultChunkSchema.extend({
  /** As the document's file was called when it was uploaded. */
  filename: z.string(),
  score: z.number(),
});
export type RetrievedChunk = z.infer<typeof retrievedChunkSchema>;

/** A passage that an answer rests on; `index` is the number in brackets in the answer's text. */
export const citationSchema = z.object({
  index: z.int().positive(),
  chunk_id: chunkIdSchema,
  document_id: documentIdSchema,
  title: z.string(),
  heading_path: z.array(z.string()),
  page: z.int().positive().nullable(),
  start_offset: z.int().nonnegative(),
  end_offset: z.int().nonnegative(),
  /** The passage itself. */
  text: z.string(),
  score: z.number(),
});
export type Citation = z.infer<typeof citationSchema>;
