import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';
import { pageOf } from '#app/schemas/page.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';

/** A tenant as `/admin/tenants` shows it. `version` counts the config's changes and is its ETag. */
export const tenantSchema = z.object({
  tenant_id: tenantIdSchema,
  version: z.int().positive(),
  config: tenantConfigSchema,
  created_at: z.string(),
  updated_at: z.string(),
});
export type Tenant = z.infer<typeof tenantSchema>;

export const tenantPageSchema = pageOf(tenantSchema);
