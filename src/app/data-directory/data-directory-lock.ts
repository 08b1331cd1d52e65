import { mkdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '#app/data-directory/code-of.ts';
import { DataDirectoryError } from '#app/data-directory/data-directory-error.ts';
import {
  type DirectoryHolder,
  type DirectoryLock,
  type LockOptions,
  lockDirectory,
} from '#app/data-directory/directory-lock.ts';
import { pidSpace } from '#app/data-directory/process-identity.ts';

type WaitOptions = {
  /** How long a live holder is waited for: it may be about to stop, milliseconds. */
  waitMs?: number;
  /** Called once before the wait. */
  onWait?(): void;
};

const RETRY_MS = 100;

/**
 * Makes this process the only one on a data directory: two embedded databases on the same files destroy them.
 * A lock whose process was killed is taken over; a live one is waited for, up to `waitMs`, and then refused with its process id.
 */
export async function lockDataDirectory(
  directory: string,
  { waitMs = 0, onWait, ...options }: LockOptions & WaitOptions = {},
): Promise<DirectoryLock> {
  const path = resolve(directory);
  await createDirectory(path);
  const deadline = performance.now() + waitMs;
  for (let tries = 1; ; tries++) {
    const taken = await lockDirectory(path, options);
    if ('lock' in taken) return taken.lock;
    if (performance.now() >= deadline) throw inUse(path, taken.heldBy);
    if (tries === 1) onWait?.();
    await delay(RETRY_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
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
