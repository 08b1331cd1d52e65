import { z } from 'zod';
import { documentIdSchema } from '#app/ids.ts';
import { pageOf } from '#app/schemas/page.ts';
import type { VaultDocument } from '#app/schemas/vault-document.ts';

/** What files are for here: to be searched. The other purposes of the API (batches, tuning) are not served. */
export const PURPOSES = ['assistants', 'user_data'] as const;

/** A document by its id: the native API and this one speak of the same objects. */
export const fileParamsSchema = z.object({ file_id: documentIdSchema });

/** A document as OpenAI's `file`. */
export const fileObjectSchema = z.object({
  id: documentIdSchema,
  object: z.literal('file'),
  bytes: z.int().nonnegative(),
  created_at: z.int(),
  expires_at: z.null(),
  filename: z.string(),
  purpose: z.literal('assistants'),
  /** `uploaded` until it can be searched. */
  status: z.enum(['uploaded', 'processed', 'error']),
  status_details: z.string().nullable(),
});
export const filePageSchema = pageOf(fileObjectSchema);
export type FileObject = z.infer<typeof fileObjectSchema>;

const STATUS: Readonly<Record<VaultDocument['status'], FileObject['status']>> = {
  pending: 'uploaded',
  indexing: 'uploaded',
  ready: 'processed',
  failed: 'error',
};

export const fileOf = (document: VaultDocument): FileObject => ({
  id: document.document_id,
  object: 'file',
  bytes: document.byte_size,
  created_at: secondsOf(document.created_at),
  expires_at: null,
  filename: document.filename,
  purpose: 'assistants',
  status: STATUS[document.status],
  status_details: document.error?.message ?? null,
});

export const secondsOf = (time: string): number => Math.floor(Date.parse(time) / 1_000);
