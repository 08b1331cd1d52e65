import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { tenantIdSchema, userIdSchema } from '#app/ids.ts';

export const demoTenantSchema = z.object({
  tenant_id: tenantIdSchema,
  api_key: z.string(),
  admin_key: z.string(),
  user_id: userIdSchema,
});
export type DemoTenant = z.infer<typeof demoTenantSchema>;

/** `demo.json` in the data directory: how to reach the server that `up` started, and as whom. */
export const demoFileSchema = z.object({
  url: z.url(),
  operator_key: z.string(),
  tenants: z.array(demoTenantSchema),
});
export type DemoFile = z.infer<typeof demoFileSchema>;

export const demoFileIn = (directory: string): string => join(directory, 'demo.json');

/** null where there is none, or none that is understood: it only holds defaults. */
export async function readDemoFile(directory: string): Promise<DemoFile | null> {
  try {
    return demoFileSchema.parse(JSON.parse(await readFile(demoFileIn(directory), 'utf8')));
  } catch {
    return null;
  }
}
