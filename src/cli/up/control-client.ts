import { join } from 'node:path';
import { z } from 'zod';
import { directoryIdentity } from '#app/data-directory/directory-identity.ts';
import { CliError } from '#cli/cli-error.ts';
import { readControlFile, STAGED_COPY } from '#cli/up/control-file.ts';

const answerSchema = z.union([
  z.object({ directory: z.string(), name: z.string().regex(STAGED_COPY).optional() }),
  z.object({ error: z.string() }),
]);

/**
 * Asks the process that has the data directory for a copy of its database, or, with `ping`, whether there is one. Resolves
 * with the copy's path; null where no process answers. Throws where it refuses or fails.
 */
export async function askForCopy(
  dataDirectory: string,
  order: 'ping' | 'copy',
  signal: AbortSignal,
): Promise<string | null> {
  const control = await readControlFile(dataDirectory);
  if (control === null) return null;
  let response: Response;
  try {
    response = await fetch(`${control.url}/${order}`, {
      method: 'POST',
      headers: { authorization: `Bearer ${control.token}` },
      signal,
    });
  } catch {
    signal.throwIfAborted();
    return null;
  }
  // Another program may have the port of a process that was killed; a copied directory names the process of the original.
  const answer = answerSchema.safeParse(await response.json().catch(() => null));
  if (response.status === 401 || !answer.success) return null;
  if ('error' in answer.data)
    throw new CliError(`The server could not copy its database: ${answer.data.error}`);
  const { directory, name = '' } = answer.data;
  return directory === (await directoryIdentity(dataDirectory)) ? join(dataDirectory, name) : null;
}
