import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataDirectoryError } from '#app/data-directory/data-directory-error.ts';

/** Where a restore keeps what it has copied until all of it is there. */
export const RESTORING = '.restoring';

/** Throws where a restore into the directory was cut off: a start would make a new, empty platform beside it. */
export function refuseHalfRestored(directory: string): void {
  if (!existsSync(join(directory, RESTORING))) return;
  throw new DataDirectoryError(
    `A restore into ${directory} was cut off. Remove the directory and run \`bulkhead restore\` again.`,
  );
}
