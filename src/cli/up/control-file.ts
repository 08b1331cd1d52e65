import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const controlFileSchema = z.object({ url: z.url(), token: z.string() });
export type ControlFile = z.infer<typeof controlFileSchema>;

/** `control.json` in the data directory, mode 0600: how commands of the directory’s owner reach the process that has it. */
export const controlFileIn = (directory: string): string => join(directory, 'control.json');

/** null where no process has left one. */
export async function readControlFile(directory: string): Promise<ControlFile | null> {
  try {
    return controlFileSchema.parse(JSON.parse(await readFile(controlFileIn(directory), 'utf8')));
  } catch {
    return null;
  }
}

/** Copies of the database are made beside it, so that the database waits for the same disk alone, and are named so. */
export const STAGED_COPY = /^\.backup-[0-9a-f]{16}$/;
