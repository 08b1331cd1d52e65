import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { addAbortSignal, type Readable } from 'node:stream';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { FILE_MODE } from '#rag/files/durable-files.ts';
import { FORMAT_HEAD_BYTES } from '#rag/ingest/parse/detect-format.ts';

/** Longest silence within an upload. A client that stalls would hold its file and connection for ever. */
const IDLE_TIMEOUT_MS = 60_000;

export type ReceiveOptions = Readonly<{
  maxBytes: number;
  signal: AbortSignal;
  /** Sees the first `FORMAT_HEAD_BYTES` as soon as they are here, or all of a shorter file; throws to refuse it. */
  checkHead?: (head: Uint8Array) => void;
}>;

export type ReceivedUpload = { byteSize: number; contentHash: string };

/**
 * Streams a body into a new file, hashing it, and syncs the file. The body is left undestroyed when it is
 * refused, so that whoever holds the connection can still answer on it. The caller removes the file on failure.
 */
export async function receiveUpload(
  body: Readable,
  path: string,
  options: ReceiveOptions & { idleTimeoutMs?: number },
): Promise<ReceivedUpload> {
  const { maxBytes, signal, checkHead, idleTimeoutMs = IDLE_TIMEOUT_MS } = options;
  signal.throwIfAborted();
  addAbortSignal(signal, body);
  const idle = setTimeout(() => body.destroy(new Error('The upload stalled.')), idleTimeoutMs);
  const handle = await open(path, 'wx', FILE_MODE);
  try {
    const hash = createHash('sha256');
    let byteSize = 0;
    let head: Buffer | null = Buffer.alloc(0);
    for await (const chunk of readChunks(body, signal)) {
      idle.refresh();
      byteSize += chunk.byteLength;
      if (byteSize > maxBytes) {
        throw new BulkheadError('body_too_large', `The document has more than ${maxBytes} bytes.`, {
          param: 'file',
        });
      }
      if (head !== null) {
        head = Buffer.concat([head, chunk.subarray(0, FORMAT_HEAD_BYTES - head.length)]);
        if (head.length === FORMAT_HEAD_BYTES) {
          checkHead?.(head);
          head = null;
        }
      }
      hash.update(chunk);
      await handle.writeFile(chunk);
      signal.throwIfAborted();
    }
    if (head !== null) checkHead?.(head);
    await handle.sync();
    return { byteSize, contentHash: hash.digest('hex') };
  } finally {
    clearTimeout(idle);
    await handle.close();
  }
}

/** Chunks as bytes. Failures of the stream become `client_closed`; those of the loop's body pass by. */
async function* readChunks(body: Readable, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const chunks = body.iterator({ destroyOnReturn: false });
  for (;;) {
    let next: IteratorResult<unknown>;
    try {
      next = await chunks.next();
    } catch (error) {
      signal.throwIfAborted();
      // A limit that somebody upstream put on the stream is told as it is.
      if (error instanceof BulkheadError) throw error;
      throw new BulkheadError('client_closed', 'The upload broke off.', { cause: error });
    }
    if (next.done === true) break;
    yield typeof next.value === 'string' ? Buffer.from(next.value) : asBytes(next.value);
  }
  signal.throwIfAborted();
  if (!body.readableEnded) throw new BulkheadError('client_closed', 'The upload broke off.');
}

function asBytes(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new BulkheadError('invalid_request', 'The upload is not a stream of bytes.', { param: 'file' });
}
