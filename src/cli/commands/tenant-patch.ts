import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { deepestIssue, plainMessage } from '#app/errors/plain-message.ts';
import { tenantConfigPatchSchema } from '#app/schemas/tenant-config.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { parseAssignments } from '#cli/parse-assignments.ts';

/** The part of a policy that settings (path=value) and a file of JSON name. Throws where it is not valid, or none. */
export async function readTenantPatch(settings: readonly string[], file: string | undefined) {
  const patch = checkedPatch(settings, file === undefined ? {} : await readPatchFile(file));
  if (Object.keys(patch).length > 0) return patch;
  throw new CliError('Nothing to set: give path=value, or --file.', { exitCode: EXIT.usage });
}

/** The same of settings alone; there may be none. */
export function checkedPatch(settings: readonly string[], base: Record<string, unknown> = {}) {
  const parsed = tenantConfigPatchSchema.safeParse(parseAssignments(settings, base), { error: plainMessage });
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues
    .map(deepestIssue)
    .map(({ path, message }) => `  ${path.join('.') || '(all)'}: ${message}`);
  throw new CliError(`The settings are not valid:\n${problems.join('\n')}`, { exitCode: EXIT.usage });
}

async function readPatchFile(file: string): Promise<Record<string, unknown>> {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    throw new CliError(`--file ${file}: no JSON object can be read from it.`, {
      exitCode: EXIT.usage,
      cause: error,
    });
  }
}
