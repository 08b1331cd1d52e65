import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '#app/data-directory/code-of.ts';
import { type DirectoryLock, lockDirectory } from '#app/data-directory/directory-lock.ts';
import { sortableId } from '#app/ids.ts';

/** Longer than a living process is silent: a log that is taken from one would be billed twice, or not at all. */
const WATCH_MS = 60_000;

export type OwnLog = Readonly<{ directory: string; lock: DirectoryLock }>;

/** A directory of this process alone, below the one that all routers of a machine or a volume share. */
export async function createOwnLog(root: string): Promise<OwnLog> {
  const directory = join(root, sortableId());
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const taken = await lockDirectory(directory);
  if ('heldBy' in taken) throw new Error(`The usage log ${directory} is held by another process.`);
  return { directory, lock: taken.lock };
}

/** Removes a log that is shipped. Cut off in between, what is left can be shipped again. */
export async function removeLog({ directory, lock }: OwnLog): Promise<void> {
  // Oldest first: no turn's beginning is left without its end.
  for (const path of await listSegments(directory)) await rm(path, { force: true });
  await lock.release();
  // Another process may be looking whether it is abandoned: an empty directory is in nobody's way.
  await rm(directory, { recursive: true, force: true, maxRetries: 3, retryDelay: 50 }).catch(() => undefined);
}

/** The files of a log, oldest first. */
export async function listSegments(directory: string): Promise<string[]> {
  const names = (await readdir(directory)).filter((name) => /^\d{10}\.log$/.test(name)).sort();
  return names.map((name) => join(directory, name));
}

/** The logs in `root` whose processes are gone, one at a time, locked for the caller, who removes or releases them. */
export async function* takeAbandonedLogs(
  root: string,
  own: string,
  signal: AbortSignal,
): AsyncGenerator<OwnLog, void> {
  const names = (await readdir(root, { withFileTypes: true }))
    .filter((entry) => entry.isDirectory() && /^[0-9a-z]{26}$/.test(entry.name))
    .map(({ name }) => name)
    .sort();
  for (const name of names) {
    const directory = join(root, name);
    try {
      if (directory === own || (await isBeingMade(directory))) continue;
      const taken = await lockDirectory(directory, { watchMs: WATCH_MS, signal });
      if ('lock' in taken) yield { directory, lock: taken.lock };
    } catch (error) {
      // Another process has emptied it meanwhile.
      if (codeOf(error) !== 'ENOENT') throw error;
    }
  }
}

/** Bytes of the logs of other processes, living or not. */
export async function bytesOfOthers(root: string, own: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.parentPath === own) continue;
    bytes += await stat(join(entry.parentPath, entry.name)).then(
      ({ size }) => size,
      () => 0,
    );
  }
  return bytes;
}

/** Its process has not come to lock it yet. */
async function isBeingMade(directory: string): Promise<boolean> {
  if ((await readdir(directory)).length > 0) return false;
  return Date.now() - (await stat(directory)).mtimeMs < WATCH_MS;
}
