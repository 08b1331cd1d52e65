import { z } from 'zod';

const most = z.int().nonnegative().nullable();

/** How much a tenant may store. null: the default of the deployment. */
export const storageLimitsSchema = z.strictObject({
  /** Of original files together. */
  max_bytes: most.default(null),
  max_documents: most.default(null),
});

/** As {@link storageLimitsSchema}, any part of it. */
export const storageLimitsPatchSchema = z.strictObject({ max_bytes: most, max_documents: most }).partial();

/** What a whole tenant stores, its users together, and what it may. */
export const tenantStorageSchema = z.object({
  documents: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  max_documents: z.int().nonnegative(),
  max_bytes: z.int().nonnegative(),
});
export type TenantStorage = z.infer<typeof tenantStorageSchema>;
