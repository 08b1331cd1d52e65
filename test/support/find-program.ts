import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/**
 * A program by the first of: the environment variable `override` (a path, which must then be right), the PATH
 * (unless `path` is false), and `directories`. null where it is nowhere.
 */
export function findProgram(
  name: string,
  options: { override: string; path?: boolean; directories?: readonly string[] },
): string | null {
  const chosen = process.env[options.override];
  if (chosen !== undefined && chosen !== '') {
    if (!isExecutable(chosen)) throw new Error(`${options.override} is ${chosen}, which is no program.`);
    return chosen;
  }
  const path = options.path === false ? [] : (process.env.PATH ?? '').split(delimiter);
  const directories = [...path, ...(options.directories ?? [])];
  return (
    directories
      .filter((directory) => directory !== '')
      .map((directory) => join(directory, name))
      .find(isExecutable) ?? null
  );
}

/** The directories `<parent>/<version>/<child>`, newest version first; none where the parent is missing. */
export function versionedDirectories(parent: string, child: string): string[] {
  try {
    return readdirSync(parent)
      .sort((left, right) => right.localeCompare(left, 'en', { numeric: true }))
      .map((version) => join(parent, version, child));
  } catch {
    return [];
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
