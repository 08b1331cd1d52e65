import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import { sortableId } from '#app/ids.ts';

/** An uploaded file on its way: on disk, without a name, so that nothing is left of it whatever happens. */
export interface SpooledFile {
  readonly byteSize: number;
  /** SHA-256 of the bytes, hex. */
  readonly contentHash: string;
  /** The bytes, once. */
  read(): Readable;
  /** Safe to call at any time, more than once. */
  dispose(): Promise<void>;
}

/** Writes the stream to a temporary file that only this process can reach. */
export async function spool(source: Readable, signal: AbortSignal): Promise<SpooledFile> {
  const path = join(tmpdir(), `bulkhead-upload-${sortableId()}`);
  const handle = await open(path, 'wx+', 0o600);
  // Where a file in use cannot be unlinked, it is unlinked when it is closed.
  const isUnlinked = await unlink(path).then(
    () => true,
    () => false,
  );
  let reader: Readable | undefined;
  let disposing: Promise<void> | undefined;
  const dispose = () => {
    disposing ??= release(handle, reader, isUnlinked ? null : path);
    return disposing;
  };
  try {
    const hash = createHash('sha256');
    let byteSize = 0;
    const hashed = async function* () {
      for await (const piece of source) {
        const chunk: Buffer = piece;
        hash.update(chunk);
        byteSize += chunk.length;
        yield chunk;
      }
    };
    await handle.writeFile(hashed(), { signal });
    return {
      byteSize,
      contentHash: hash.digest('hex'),
      read() {
        // The stream holds the handle: its descriptor cannot be closed, and reused, under a read.
        reader ??= withErrorListener(handle.createReadStream({ start: 0 }));
        return reader;
      },
      dispose,
    };
  } catch (error) {
    await dispose();
    throw error;
  }
}

async function release(handle: FileHandle, reader: Readable | undefined, path: string | null): Promise<void> {
  if (reader === undefined) await handle.close();
  else if (!reader.closed) {
    reader.destroy();
    await once(reader, 'close').catch(() => undefined);
  }
  if (path !== null) await unlink(path).catch(() => undefined);
}
