import { z } from 'zod';
import { documentStatusSchema } from '#app/schemas/vault-document.ts';

/** All documents that a user sees, in figures. */
export const vaultSummarySchema = z.object({
  /** Documents by their status. */
  documents: z.record(documentStatusSchema, z.int().nonnegative()),
  /** Their files together. */
  bytes: z.int().nonnegative(),
});
export type VaultSummary = z.infer<typeof vaultSummarySchema>;
