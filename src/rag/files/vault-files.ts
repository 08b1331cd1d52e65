import type { Readable } from 'node:stream';
import { z } from 'zod';
import {
  type DocumentId,
  documentIdSchema,
  type TenantId,
  tenantIdSchema,
  type UserId,
  userIdSchema,
} from '#app/ids.ts';
import { collectionSchema, DEFAULT_COLLECTION } from '#app/schemas/collection.ts';
import { visibilitySchema } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { ReceiveOptions } from '#rag/files/receive-upload.ts';

/** Where a document's files are: its tenant, its owner (not whoever reads it) and its id. */
export type DocumentPlace = Readonly<{ tenantId: TenantId; userId: UserId; documentId: DocumentId }>;

/** What lies beside the original: enough to make the document's row and index entries anew. */
export const documentMetadataSchema = z.object({
  format: z.literal(1),
  tenant_id: tenantIdSchema,
  user_id: userIdSchema,
  document_id: documentIdSchema,
  visibility: visibilitySchema,
  /** Files from before there were collections do not say. */
  collection: collectionSchema.default(DEFAULT_COLLECTION),
  /** As the uploader named it; null: the document's own title, or else its filename, is used. */
  title: z.string().nullable(),
  filename: z.string(),
  media_type: z.string(),
  byte_size: z.int().nonnegative(),
  content_hash: z.string().regex(/^[0-9a-f]{64}$/),
  created_at: z.iso.datetime(),
});
export type DocumentMetadata = z.infer<typeof documentMetadataSchema>;

/** The text that a parser read from the original, and that chunk offsets point into. */
export const extractedTextSchema = z.object({
  content_hash: z.string(),
  pages: z.array(z.object({ page: z.int().positive().nullable(), text: z.string() })),
});
export type ExtractedText = z.infer<typeof extractedTextSchema>;

/** An upload that has arrived whole and is on disk, but is no document yet. One of the two calls must follow. */
export type StagedFile = Readonly<{
  byteSize: number;
  /** SHA-256, hex. */
  contentHash: string;
  /** Writes the metadata beside the original: what takes long of a commit. */
  prepare(metadata: DocumentMetadata): Promise<void>;
  /** Moves original and metadata, which is prepared, to the document's place in one step: readers see both or neither. */
  commit(metadata: DocumentMetadata): Promise<void>;
  /** Removes what has arrived. Safe after `commit`, of which it undoes nothing. */
  discard(): Promise<void>;
}>;

/**
 * The files of tenants: `<tenant>/<user>/<document>/` with the original, its metadata and its extracted text.
 * They are the truth; rows and index entries can be made from them. Every method checks ids again, though their
 * types say that they were checked. Files that are not there throw `not_found`.
 */
export interface VaultFiles {
  /**
   * Takes an upload in, hashing as it streams. Throws `body_too_large` above `maxBytes`, `client_closed` when
   * the body breaks off or stalls, the signal's reason when aborted, and what `checkHead` throws; nothing is left
   * behind then.
   */
  receive(body: Readable, options: ReceiveOptions): Promise<StagedFile>;
  readMetadata(place: DocumentPlace): Promise<DocumentMetadata>;
  /** The original as a stream. */
  openOriginal(place: DocumentPlace): Promise<Readable>;
  /** The original in memory: at most the size that `receive` let in. Throws when its hash is not `contentHash`. */
  readOriginal(place: DocumentPlace, contentHash: string): Promise<Buffer>;
  writeText(place: DocumentPlace, text: ExtractedText): Promise<void>;
  readText(place: DocumentPlace): Promise<ExtractedText>;
  /** Removes all files of the document. Not an error when there are none. */
  remove(place: DocumentPlace): Promise<void>;
  /** Removes all files of the tenant, of all its users. Not an error when there are none. */
  removeTenant(tenantId: TenantId): Promise<void>;
  /** The documents of one tenant that have files, but for the known ones. Unreadable entries are skipped. */
  listPlaces(tenantId: TenantId, options: { except: ReadonlySet<string> }): AsyncIterable<DocumentPlace>;
  /** Removes uploads that a killed process left unfinished. Only before the first `receive`. */
  removeUnfinished(): Promise<void>;
}
