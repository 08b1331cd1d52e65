import { createHash, type Hash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { codeOf } from '#app/data-directory/code-of.ts';
import { lockDataDirectory } from '#app/data-directory/data-directory-lock.ts';
import { DATA, FILES, writeManifest } from '#cli/backup/backup-manifest.ts';
import { copyFile, syncDirectory, walk } from '#cli/backup/copy-file.ts';
import { CliError } from '#cli/cli-error.ts';
import { askForCopy } from '#cli/up/control-client.ts';

export type BackupProgress = (progress: Readonly<{ part: string; files: number; bytes: number }>) => void;

export type BackupResult = Readonly<{ files: number; bytes: number; isOnline: boolean }>;

/** What a data directory keeps beside the database, the documents and the usage log. Keys and states of the demo: mode 0600. */
const SINGLE_FILES = ['secrets.json', 'demo.json', 'demo-state.json'];

/**
 * Copies an embedded platform into a directory, which is new or empty, while it serves or while it is stopped.
 *
 * The order makes it consistent. The usage log first: a row is in it until the database has it. Then the database, at one
 * moment. Then the documents: what the database knows was on the disk before; what came after is taken up by a start, as
 * after a crash. The index is left out: a start builds it from the documents.
 */
export async function createBackup(options: {
  dataDirectory: string;
  usageLog: string;
  target: string;
  onProgress: BackupProgress;
  signal: AbortSignal;
}): Promise<BackupResult> {
  const { dataDirectory, usageLog, target, onProgress, signal } = options;
  if (!existsSync(join(dataDirectory, 'database'))) {
    throw new CliError(
      `There is no embedded database in ${dataDirectory}. Name the data directory with BULKHEAD_DATA_DIR; for PostgreSQL, see docs/operations/backup-and-restore.md.`,
    );
  }
  await makeEmptyDirectory(target);
  const isOnline = (await askForCopy(dataDirectory, 'ping', signal)) !== null;
  const lock = isOnline ? null : await lockDataDirectory(dataDirectory);
  const list = await open(join(target, FILES), 'wx', 0o600);
  const hash = createHash('sha256');
  const sum = { files: 0, bytes: 0 };
  let staged: string | null = null;
  const copy = (part: string, from: string, skip: (name: string) => boolean) =>
    copyTree({ part, from, target, skip, list, hash, sum, onProgress, signal });
  try {
    await copy('usage-log', usageLog, isLock);
    staged = isOnline ? await askForCopy(dataDirectory, 'copy', signal) : null;
    if (isOnline && staged === null)
      throw new CliError('The server stopped while it was asked for a copy. Start again.');
    await copy('database', staged ?? join(dataDirectory, 'database'), isLock);
    if (staged !== null) await rm(staged, { recursive: true, force: true });
    await copy('vault', join(dataDirectory, 'vault'), (name) => name === '.staging');
    for (const name of SINGLE_FILES) await copySingle(name);
    await list.sync();
    await list.close();
    await syncDirectory(target);
    await writeManifest(target, {
      format: 1,
      kind: 'embedded',
      created_at: new Date().toISOString(),
      ...sum,
      files_sha256: hash.digest('hex'),
    });
    return { ...sum, isOnline };
  } finally {
    if (staged !== null) await rm(staged, { recursive: true, force: true });
    await list.close().catch(() => undefined);
    await lock?.release();
  }

  async function copySingle(name: string): Promise<void> {
    if (!existsSync(join(dataDirectory, name))) return;
    await record(name, await copyFile(join(dataDirectory, name), join(target, DATA, name), signal), {
      list,
      hash,
      sum,
    });
  }
}

/** Of this process, or of the one that is copied: a copy has no owner. */
const isLock = (name: string): boolean => name.startsWith('bulkhead.lock') || name === 'postmaster.pid';

type Recorded = Readonly<{ list: FileHandle; hash: Hash; sum: { files: number; bytes: number } }>;

async function copyTree(
  options: Recorded & {
    part: string;
    from: string;
    target: string;
    skip: (name: string) => boolean;
    onProgress: BackupProgress;
    signal: AbortSignal;
  },
): Promise<void> {
  const { part, from, target, skip, sum, onProgress, signal } = options;
  await mkdir(join(target, DATA, part), { recursive: true, mode: 0o700 });
  for await (const { path, isDirectory } of walk(from, skip)) {
    signal.throwIfAborted();
    const to = join(target, DATA, part, path);
    if (isDirectory) {
      await mkdir(to, { mode: 0o700 });
      continue;
    }
    try {
      await record(`${part}/${path}`, await copyFile(join(from, path), to, signal), options);
    } catch (error) {
      // A document that was deleted meanwhile, or a segment whose rows the database has.
      if (codeOf(error) !== 'ENOENT' || part === 'database') throw error;
      await rm(to, { force: true });
    }
    onProgress({ part, ...sum });
  }
  onProgress({ part, ...sum });
}

async function record(
  path: string,
  copied: Readonly<{ bytes: number; sha256: string }>,
  { list, hash, sum }: Recorded,
): Promise<void> {
  const line = `${JSON.stringify({ path, ...copied })}\n`;
  await list.write(line);
  hash.update(line);
  sum.files += 1;
  sum.bytes += copied.bytes;
}

/** Throws where the directory has anything in it: no file of another backup may be taken for one of this. */
async function makeEmptyDirectory(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  if ((await readdir(directory)).length > 0) {
    throw new CliError(`${directory} is not empty. Name a new directory: each backup has its own.`);
  }
}
