import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { type FileHandle, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { withErrorListener } from '#app/faults/with-error-listener.ts';

/** Up to this size a file is read whole: a stream costs more than the copy, and a database has a thousand such files. */
const SMALL_BYTES = 1_048_576;

/** Copies a file to a new one, mode 0600, large ones as a stream. Resolves with its size and SHA-256 (hex) as read. */
export async function copyFile(
  from: string,
  to: string,
  signal: AbortSignal,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  if ((await stat(from)).size <= SMALL_BYTES) {
    const whole = await readFile(from, { signal });
    await writeFile(to, whole, { mode: 0o600, flag: 'wx', signal });
    return { bytes: whole.length, sha256: hash.update(whole).digest('hex') };
  }
  let bytes = 0;
  await pipeline(
    withErrorListener(createReadStream(from, { highWaterMark: 1_048_576 })),
    async function* (chunks: AsyncIterable<Buffer>) {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
    },
    withErrorListener(createWriteStream(to, { mode: 0o600, flags: 'wx' })),
    { signal },
  );
  return { bytes, sha256: hash.digest('hex') };
}

/** A directory's entries, made durable: what was renamed into it survives a lost machine. */
export async function syncDirectory(directory: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(directory, 'r');
    await handle.sync();
  } catch {
    // Windows opens no directories.
  } finally {
    await handle?.close();
  }
}

/**
 * The plain files and the directories below one, relative, with `/` between names; directories before what they hold.
 * Links are left out, and so is what `skip` says. Names that vanish meanwhile are left out.
 */
export async function* walk(
  root: string,
  skip: (name: string) => boolean,
  under = '',
): AsyncGenerator<{ path: string; isDirectory: boolean }, void> {
  const entries = await readdir(join(root, under), { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    if (skip(entry.name)) continue;
    const path = under === '' ? entry.name : `${under}/${entry.name}`;
    if (entry.isDirectory()) {
      yield { path, isDirectory: true };
      yield* walk(root, skip, path);
    } else if (entry.isFile()) yield { path, isDirectory: false };
  }
}
