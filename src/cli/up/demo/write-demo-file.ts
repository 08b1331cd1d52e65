import { type DemoTenant, demoFileIn, readDemoFile } from '#cli/demo-file.ts';
import { writeFileAtomically } from '#cli/up/write-file-atomically.ts';

/**
 * Writes `demo.json`, mode 0600, for the other commands and for scripts; returns its path. Without a demo
 * (`tenants` null) an older file only gets the new URL, and none is made.
 */
export async function writeDemoFile(
  directory: string,
  facts: { url: string; operator_key: string; tenants: readonly DemoTenant[] | null },
): Promise<string | null> {
  const tenants = facts.tenants ?? (await readDemoFile(directory))?.tenants;
  if (tenants === undefined) return null;
  const file = demoFileIn(directory);
  const { url, operator_key } = facts;
  await writeFileAtomically(file, `${JSON.stringify({ url, operator_key, tenants }, null, 2)}\n`);
  return file;
}
