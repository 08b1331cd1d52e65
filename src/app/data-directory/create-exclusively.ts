import { randomUUID } from 'node:crypto';
import { link, rm, writeFile } from 'node:fs/promises';
import { codeOf } from '#app/data-directory/code-of.ts';

const LINKS_UNSUPPORTED: readonly unknown[] = ['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'];

/**
 * Creates a file, mode 0600, that appears whole or not at all; false where one exists already. On file systems
 * without hard links it may appear half-written for a moment.
 */
export async function createExclusively(file: string, text: string): Promise<boolean> {
  const draft = `${file}.${randomUUID()}`;
  try {
    await writeFile(draft, text, { mode: 0o600, flush: true });
    try {
      await link(draft, file);
    } catch (error) {
      if (!LINKS_UNSUPPORTED.includes(codeOf(error))) throw error;
      await writeFile(file, text, { mode: 0o600, flag: 'wx', flush: true });
    }
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}
