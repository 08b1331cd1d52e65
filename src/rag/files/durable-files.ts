import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Files of tenants are for the service's own user alone. */
export const FILE_MODE = 0o600;
export const DIRECTORY_MODE = 0o700;

/** Makes a directory's entries (new, renamed, removed) survive a power cut. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a file that is not there yet, and makes its bytes survive a power cut. */
export async function writeNewFile(path: string, bytes: string | Uint8Array): Promise<void> {
  const handle = await open(path, 'wx', FILE_MODE);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Replaces a file in one step. Its directory must exist: a document being deleted is not brought back. */
export async function replaceFile(path: string, bytes: string | Uint8Array): Promise<void> {
  const directory = dirname(path);
  const temporary = join(directory, `.new-${randomBytes(8).toString('hex')}`);
  try {
    await writeNewFile(temporary, bytes);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(directory);
}

/** Opens a plain file for reading; a symbolic link or anything else in its place throws. */
export async function openPlainFile(path: string): Promise<FileHandle> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    if (!(await handle.stat()).isFile()) throw new Error('A file of the vault is not a plain file.');
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

export const hasCode = (error: unknown, ...codes: string[]): boolean =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' && codes.includes(error.code);
