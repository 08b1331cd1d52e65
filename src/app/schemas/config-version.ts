import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import { pageOf } from '#app/schemas/page.ts';

/** One state that a tenant's config was in. */
export const configVersionSchema = z.object({
  tenant_id: tenantIdSchema,
  version: z.int().positive(),
  author: z.string(),
  created_at: z.string(),
});
export type ConfigVersion = z.infer<typeof configVersionSchema>;
export const configVersionPageSchema = pageOf(configVersionSchema);

/** As it was stored: an old one need not be valid today. */
export const storedConfigVersionSchema = configVersionSchema.extend({
  config: z.record(z.string(), z.unknown()),
});
export type StoredConfigVersion = z.infer<typeof storedConfigVersionSchema>;
