import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

const serverFileSchema = z.object({ url: z.url() });

/** `server.json` in the data directory: where the server that was started last on it listens. */
export const serverFileIn = (directory: string): string => join(directory, 'server.json');

/** null where no server was ever started. */
export async function readServerUrl(directory: string): Promise<string | null> {
  try {
    return serverFileSchema.parse(JSON.parse(await readFile(serverFileIn(directory), 'utf8'))).url;
  } catch {
    return null;
  }
}
