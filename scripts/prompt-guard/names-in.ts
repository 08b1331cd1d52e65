import { readdir } from 'node:fs/promises';

/** Names in a directory, in an order that does not depend on the file system. */
export const namesIn = async (path: string, options: { recursive?: boolean } = {}): Promise<string[]> =>
  (await readdir(path, options)).sort();
