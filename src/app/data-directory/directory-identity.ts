import { stat } from 'node:fs/promises';

/** Device and inode: a copy of a directory has another inode, a snapshot of its file system another device. */
export async function directoryIdentity(directory: string): Promise<string> {
  const { dev, ino } = await stat(directory, { bigint: true });
  return `${dev}:${ino}`;
}
