import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { codeOf } from '#app/data-directory/code-of.ts';
import { DataDirectoryError } from '#app/data-directory/data-directory-error.ts';
import {
  type DirectoryHolder,
  type DirectoryLock,
  type LockOptions,
  lockDirectory,
} from '#app/data-directory/directory-lock.ts';
import { pidSpace } from '#app/data-directory/process-identity.ts';

/**
 * Makes this process the only one on a data directory: two embedded databases on the same files destroy them.
 * A lock whose process was killed is taken over; a live one is refused with its process id.
 */
export async function lockDataDirectory(
  directory: string,
  options: LockOptions = {},
): Promise<DirectoryLock> {
  const path = resolve(directory);
  await createDirectory(path);
  const taken = await lockDirectory(path, options);
  if ('heldBy' in taken) throw inUse(path, taken.heldBy);
  return taken.lock;
}

async function createDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new DataDirectoryError(`The data directory ${path} cannot be made: ${String(codeOf(error))}.`, {
      cause: error,
    });
  }
}

function inUse(path: string, holder: DirectoryHolder): DataDirectoryError {
  const who =
    holder === null
      ? 'Another process'
      : `Another Bulkhead (process ${holder.pid}${holder.pid_space === pidSpace() ? '' : ` of ${holder.pid_space}`}, started ${holder.started_at})`;
  return new DataDirectoryError(
    `${who} is using the data directory ${path}.\nStop it, or set BULKHEAD_DATA_DIR to another directory.`,
  );
}
