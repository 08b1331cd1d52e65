import { type FileHandle, open, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { isAbort } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { ApiClient } from '#cli/api-client.ts';
import { CliError } from '#cli/cli-error.ts';

/**
 * Writes a tenant's archive to a new file, readable by its owner alone; how many bytes it has. Throws where the file
 * exists, before anything is asked for; a file that could not be finished is removed.
 */
export async function saveExport(
  api: ApiClient,
  tenantId: string,
  file: string,
  signal: AbortSignal,
): Promise<number> {
  const handle = await create(file);
  try {
    const archive = await api.download(`/admin/tenants/${tenantId}/export`, { method: 'POST', signal });
    const target = withErrorListener(handle.createWriteStream({ flush: true }));
    await pipeline(withErrorListener(Readable.fromWeb(archive)), target, { signal });
    return target.bytesWritten;
  } catch (error) {
    await rm(file, { force: true });
    if (isAbort(error) || error instanceof CliError) throw error;
    throw new CliError(`The export broke off: ${messageOf(error)}`, { cause: error });
  } finally {
    await handle.close().catch(() => undefined);
  }
}

async function create(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'wx', 0o600);
  } catch (error) {
    throw new CliError(`${file} cannot be made: ${messageOf(error)}`, { cause: error });
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
