import { randomUUID } from 'node:crypto';
import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { codeOf } from '#app/data-directory/code-of.ts';
import { createExclusively } from '#app/data-directory/create-exclusively.ts';
import { directoryIdentity } from '#app/data-directory/directory-identity.ts';
import { isRunning, pidSpace, processStart } from '#app/data-directory/process-identity.ts';

const holderSchema = z.object({
  id: z.string(),
  pid: z.int().positive(),
  pid_space: z.string(),
  process_start: z.string().nullable(),
  started_at: z.string(),
  /** Which directory it locks: a lock that was copied with its directory names another. Absent in older locks. */
  directory: z.string().optional(),
});
type Holder = z.infer<typeof holderSchema>;

export type DirectoryLock = { release(): Promise<void> };

/** Who has a directory; null: written by another version, or torn by a full disk. */
export type DirectoryHolder = Readonly<Pick<Holder, 'pid' | 'pid_space' | 'started_at'>> | null;

export type LockOptions = {
  /** How often the holder shows that it lives, milliseconds. */
  heartbeatMs?: number;
  /** How long a holder that cannot be asked is watched before it counts as gone, milliseconds. */
  watchMs?: number;
  /** Gives the watch up: throws its reason. */
  signal?: AbortSignal;
  /** Told before a wait of `watchMs`. */
  onWatch?(holder: string): void;
};

/** A takeover lasts milliseconds; a guard file older than this was left by a process that was killed in it. */
const GUARD_MAX_AGE_MS = 10_000;

/**
 * Makes this process the only one on a directory, which exists. A lock whose process was killed is taken over; of a
 * live one the holder is told.
 */
export async function lockDirectory(
  directory: string,
  options: LockOptions = {},
): Promise<{ lock: DirectoryLock } | { heldBy: DirectoryHolder }> {
  const { heartbeatMs = 2_000, watchMs = 15_000 } = options;
  const path = resolve(directory);
  const file = join(path, 'bulkhead.lock');
  const identity = await directoryIdentity(path);
  const mine: Holder = {
    id: randomUUID(),
    pid: process.pid,
    pid_space: pidSpace(),
    process_start: processStart(process.pid),
    started_at: new Date().toISOString(),
    directory: identity,
  };
  while (!(await createExclusively(file, `${JSON.stringify(mine)}\n`))) {
    const holder = await readHolder(file);
    if (holder === 'absent') continue;
    if (await isLive(file, holder, identity, { ...options, watchMs })) {
      return { heldBy: holder === 'unreadable' ? null : holder };
    }
    await removeStale(file, holder);
  }

  const heartbeat = setInterval(() => {
    const now = new Date();
    // The file is missing only if somebody removed the directory; then there is nothing left to guard.
    utimes(file, now, now).catch(() => {});
  }, heartbeatMs);
  heartbeat.unref();
  const lock: DirectoryLock = {
    async release() {
      clearInterval(heartbeat);
      const holder = await readHolder(file);
      if (typeof holder === 'object' && holder.id === mine.id) await rm(file, { force: true });
    },
  };
  return { lock };
}

/** `unreadable`: not written by this version, or torn by a full disk; it is judged by its heartbeat alone. */
async function readHolder(file: string): Promise<Holder | 'absent' | 'unreadable'> {
  try {
    return holderSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    return codeOf(error) === 'ENOENT' ? 'absent' : 'unreadable';
  }
}

async function isLive(
  file: string,
  holder: Holder | 'unreadable',
  identity: string,
  { watchMs, onWatch, signal }: LockOptions & { watchMs: number },
): Promise<boolean> {
  if (holder !== 'unreadable' && holder.pid_space === pidSpace()) {
    if (!isRunning(holder.pid)) return false;
    const start = processStart(holder.pid);
    if (start !== null && holder.process_start !== null && start !== holder.process_start) return false;
    if (holder.directory === undefined || holder.directory === identity) return true;
    // Copied with its directory while the holder of the original lives, or the same directory by another mount.
  }
  // Another machine or container, on a shared disk: its process cannot be asked, its heartbeat can be seen.
  onWatch?.(holder === 'unreadable' ? 'a process' : `process ${holder.pid} of ${holder.pid_space}`);
  const before = await heartbeatOf(file);
  for (const end = Date.now() + watchMs; Date.now() < end; ) {
    await sleep(Math.min(500, watchMs), undefined, signal === undefined ? {} : { signal });
    if ((await heartbeatOf(file)) !== before) return true;
  }
  return false;
}

async function heartbeatOf(file: string): Promise<number | null> {
  try {
    return (await stat(file)).mtimeMs;
  } catch {
    return null;
  }
}

/** Two processes may find the same stale lock: the guard lets one remove it, and only if it is still that one. */
async function removeStale(file: string, stale: Holder | 'unreadable'): Promise<void> {
  const guard = `${file}.takeover`;
  const guardMade = await heartbeatOf(guard);
  if (guardMade !== null && Date.now() - guardMade > GUARD_MAX_AGE_MS) await rm(guard, { force: true });
  try {
    await writeFile(guard, String(process.pid), { flag: 'wx', mode: 0o600 });
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error;
    await sleep(50);
    return;
  }
  try {
    const found = await readHolder(file);
    const same =
      typeof found === 'object' && typeof stale === 'object' ? found.id === stale.id : found === stale;
    if (same) await rm(file, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}
