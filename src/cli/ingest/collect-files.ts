import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';

export type FileToIngest = Readonly<{ path: string; filename: string; byteSize: number }>;
export type IngestFailure = Readonly<{ file: string; code: string; message: string }>;

/** What is taken from a directory. A file that is named itself is always tried: the server decides. */
export const DIRECTORY_EXTENSIONS: readonly string[] =
  'md markdown mdx txt rst adoc html htm pdf docx csv tsv'.split(' ');

/**
 * The files of the paths, directories searched to the bottom, in order of name. Hidden entries, node_modules
 * and links inside directories are left out.
 */
export async function collectFiles(
  paths: readonly string[],
  extensions: readonly string[] = DIRECTORY_EXTENSIONS,
): Promise<{ files: FileToIngest[]; failures: IngestFailure[] }> {
  const files = new Map<string, FileToIngest>();
  const failures: IngestFailure[] = [];
  const add = (path: string, byteSize: number) =>
    files.set(path, { path, filename: basename(path), byteSize });

  const walk = async (directory: string): Promise<void> => {
    const entries = await readdir(directory, { withFileTypes: true });
    for (const entry of entries.sort((a, b) => a.name.localeCompare(b.name))) {
      if (entry.name.startsWith('.') || entry.name === 'node_modules') continue;
      const path = join(directory, entry.name);
      if (entry.isDirectory()) await walk(path);
      else if (entry.isFile() && extensions.includes(extname(entry.name).slice(1).toLowerCase())) {
        add(path, (await stat(path)).size);
      }
    }
  };

  for (const path of paths) {
    try {
      const found = await stat(path);
      const before = files.size;
      if (!found.isDirectory()) add(path, found.size);
      else await walk(path);
      if (found.isDirectory() && files.size === before) {
        const message = `no files ending in ${extensions.join(', ')}`;
        failures.push({ file: path, code: 'no_documents', message });
      }
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
      const message = code === 'ENOENT' ? 'no such file or directory' : `cannot be read (${code})`;
      failures.push({ file: path, code, message });
    }
  }
  return { files: [...files.values()], failures };
}
