import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

/**
 * Installs packages, `name@version`, into a cache of their own, without running their scripts, and gives what loads their modules.
 * Null, and a word on the error output, where the registry is out of reach.
 */
export async function installPeers(
  cache: string,
  packages: readonly string[],
): Promise<((path: string) => Promise<unknown>) | null> {
  const directory = join(import.meta.dirname, '../../node_modules/.cache', cache);
  const isThere = packages.every((name) =>
    existsSync(join(directory, 'node_modules', name.slice(0, name.lastIndexOf('@')))),
  );
  if (!isThere) {
    await mkdir(directory, { recursive: true });
    const options = ['--no-save', '--no-fund', '--no-audit', '--ignore-scripts', '--prefix', directory];
    try {
      await promisify(execFile)('npm', ['install', ...options, ...packages]);
    } catch (error) {
      console.error(
        `SKIPPED: the peers cannot be installed: ${error instanceof Error ? error.message : error}`,
      );
      return null;
    }
  }
  return async (path) => import(pathToFileURL(join(directory, 'node_modules', path)).href);
}
