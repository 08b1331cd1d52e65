import { mkdir, rm, statfs, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DataDirectoryError } from '#app/data-directory/data-directory-error.ts';
import {
  type DirectoryHolder,
  type DirectoryLock,
  type LockOptions,
  lockDirectory,
} from '#app/data-directory/directory-lock.ts';
import { pidSpace } from '#app/data-directory/process-identity.ts';
import { describeFault } from '#app/faults/describe-fault.ts';

/** An embedded database begins with 40. */
const MIN_FREE_MIB = 64;

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
    const taken = await lockDirectory(path, options).catch((error: unknown) => {
      throw unusable(path, error);
    });
    if ('lock' in taken) return taken.lock;
    if (performance.now() >= deadline) throw inUse(path, taken.heldBy);
    if (tries === 1) onWait?.();
    await delay(RETRY_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
  }
}

async function createDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await checkWritable(path);
    const { bavail, bsize } = await statfs(path);
    const freeMiB = Math.floor((bavail * bsize) / 1_048_576);
    if (freeMiB < MIN_FREE_MIB) {
      throw new DataDirectoryError(
        `The disk of the data directory ${path} has ${freeMiB} MiB free, and ${MIN_FREE_MIB} are needed to start. Make room, or set BULKHEAD_DATA_DIR to another directory.`,
      );
    }
  } catch (error) {
    throw unusable(path, error);
  }
}

/** A directory that cannot be written to is found here, not by the database in the middle of its start. */
async function checkWritable(path: string): Promise<void> {
  const probe = join(path, `.probe-${process.pid}`);
  try {
    await writeFile(probe, 'probe\n', { mode: 0o600 });
  } finally {
    await rm(probe, { force: true });
  }
}

function unusable(path: string, error: unknown): unknown {
  if (error instanceof DataDirectoryError) return error;
  const reason = describeFault(error);
  return reason === null
    ? error
    : new DataDirectoryError(`The data directory ${path} cannot be used. ${reason}`, { cause: error });
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
