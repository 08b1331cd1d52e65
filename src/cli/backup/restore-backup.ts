import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { lockDataDirectory } from '#app/data-directory/data-directory-lock.ts';
import { RESTORING } from '#app/data-directory/restoring.ts';
import { DATA, damaged, readFileLines, readManifest } from '#cli/backup/backup-manifest.ts';
import { copyFile, syncDirectory } from '#cli/backup/copy-file.ts';
import type { BackupProgress } from '#cli/backup/create-backup.ts';
import { CliError } from '#cli/cli-error.ts';

/**
 * Copies a backup into a data directory, which is new or empty, and compares every file with what was written. What it
 * copied stays aside until all of it is there, so that a restore that is cut off is not taken for a platform: `up` refuses
 * such a directory. Throws a `CliError` where the backup is incomplete or damaged, with nothing restored.
 */
export async function restoreBackup(options: {
  backup: string;
  dataDirectory: string;
  onProgress: BackupProgress;
  signal: AbortSignal;
}): Promise<{ files: number; bytes: number }> {
  const { backup, dataDirectory, onProgress, signal } = options;
  const manifest = await readManifest(backup);
  if (existsSync(dataDirectory) && (await readdir(dataDirectory)).length > 0) {
    throw new CliError(
      `${dataDirectory} is not empty, and a restore replaces nothing. Name a new directory with BULKHEAD_DATA_DIR.`,
    );
  }
  const lock = await lockDataDirectory(dataDirectory);
  const aside = join(dataDirectory, RESTORING);
  const sum = { files: 0, bytes: 0 };
  try {
    await mkdir(aside, { mode: 0o700 });
    // Also where a part has no file, and empty directories of PostgreSQL’s, which it does not make again.
    await copyDirectories(join(backup, DATA), aside);
    for await (const { path, bytes, sha256 } of readFileLines(backup)) {
      signal.throwIfAborted();
      const to = join(aside, path);
      await mkdir(dirname(to), { recursive: true, mode: 0o700 });
      const copied = await copyFile(join(backup, DATA, path), to, signal).catch((error: unknown) => {
        signal.throwIfAborted();
        if (existsSync(join(backup, DATA, path))) throw error;
        throw damaged(backup, path);
      });
      if (copied.bytes !== bytes || copied.sha256 !== sha256) throw damaged(backup, path);
      sum.files += 1;
      sum.bytes += bytes;
      onProgress({ part: path.split('/')[0] ?? path, ...sum });
    }
    if (sum.files !== manifest.files || sum.bytes !== manifest.bytes) throw damaged(backup, 'files.ndjson');
    for (const name of await readdir(aside)) await rename(join(aside, name), join(dataDirectory, name));
    await syncDirectory(dataDirectory);
    await rm(aside, { recursive: true });
    return sum;
  } catch (error) {
    for (const name of await readdir(dataDirectory)) {
      if (!name.startsWith('bulkhead.lock'))
        await rm(join(dataDirectory, name), { recursive: true, force: true });
    }
    throw error;
  } finally {
    await lock.release();
  }
}

async function copyDirectories(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    await mkdir(join(to, entry.name), { mode: 0o700 });
    await copyDirectories(join(from, entry.name), join(to, entry.name));
  }
}
