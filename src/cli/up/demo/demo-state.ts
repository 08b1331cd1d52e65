import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { codeOf } from '#app/data-directory/code-of.ts';
import { documentIdSchema } from '#app/ids.ts';
import { CliError } from '#cli/cli-error.ts';
import { demoTenantSchema } from '#cli/demo-file.ts';
import { writeFileAtomically } from '#cli/up/write-file-atomically.ts';

const tenantStateSchema = z.discriminatedUnion('status', [
  z.object({ status: z.literal('creating') }),
  z.object({
    status: z.literal('created'),
    tenant: demoTenantSchema,
    /** By file; null while it is being added. */
    documents: z.record(z.string(), documentIdSchema.nullable()),
  }),
  /** A tenant of that id was there before: it is left alone. */
  z.object({ status: z.literal('foreign') }),
]);
export type DemoTenantState = z.infer<typeof tenantStateSchema>;

/** By database, as one data directory may be used with the embedded one and with a server in turns. */
const stateSchema = z.record(z.string(), z.record(z.string(), tenantStateSchema));

/**
 * How far the seeding came, so that a start after a crash completes it and a later one repeats nothing. Each
 * step is written down before it is taken, and again when it is done.
 */
export type DemoState = {
  of(tenantId: string): DemoTenantState | undefined;
  /** Resolves when it is on disk. */
  set(tenantId: string, state: DemoTenantState): Promise<void>;
};

/** The state in `demo-state.json` of the data directory. It holds keys: mode 0600. */
export async function openDemoState(directory: string, databaseName: string): Promise<DemoState> {
  const file = join(directory, 'demo-state.json');
  const all = await readState(file);
  const state = all[databaseName] ?? {};
  all[databaseName] = state;
  return {
    of: (tenantId) => state[tenantId],
    async set(tenantId, tenantState) {
      state[tenantId] = tenantState;
      await writeFileAtomically(file, `${JSON.stringify(all, null, 2)}\n`);
    },
  };
}

async function readState(file: string): Promise<z.infer<typeof stateSchema>> {
  try {
    return stateSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return {};
    throw new CliError(`${file} is damaged. Remove it, or start with BULKHEAD_DEMO=off.`, { cause: error });
  }
}
