import { z } from 'zod';
import { tenantStorageSchema } from '#app/schemas/tenant-storage.ts';
import { documentStatusSchema } from '#app/schemas/vault-document.ts';

/** All documents that a user sees, in figures. */
export const vaultSummarySchema = z.object({
  /** Documents by their status. */
  documents: z.record(documentStatusSchema, z.int().nonnegative()),
  /** Their files together. */
  bytes: z.int().nonnegative(),
  /** Of the whole tenant, for those who administer it; null for others, who see of others what is shared. */
  storage: tenantStorageSchema.nullable(),
});
export type VaultSummary = z.infer<typeof vaultSummarySchema>;
