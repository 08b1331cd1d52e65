import { z } from 'zod';

const most = z.int().nonnegative().nullable();

const DEFAULT_RESPONSE_BYTES = 1_073_741_824;
/** `0`: nothing is kept for longer than until the next pass. */
const responseBytes = z.int().nonnegative().max(1_099_511_627_776);

/** How much a tenant may store. null: the default of the deployment. */
export const storageLimitsSchema = z.strictObject({
  /** Of original files together. */
  max_bytes: most.default(null),
  max_documents: most.default(null),
  /** Of what is kept of `/v1/responses`; beyond it the oldest go. */
  max_response_bytes: responseBytes.default(DEFAULT_RESPONSE_BYTES),
});

/** As {@link storageLimitsSchema}, any part of it. */
export const storageLimitsPatchSchema = z
  .strictObject({ max_bytes: most, max_documents: most, max_response_bytes: responseBytes })
  .partial();

/** What a whole tenant stores, its users together, and what it may. */
export const tenantStorageSchema = z.object({
  documents: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  max_documents: z.int().nonnegative(),
  max_bytes: z.int().nonnegative(),
});
export type TenantStorage = z.infer<typeof tenantStorageSchema>;
