import { type Entry, fromBufferPromise, type ZipFile } from 'yauzl';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { unreadable } from '#rag/ingest/parse/unreadable.ts';

const MIB = 1_048_576;
/** Bounds of a Word document's archive. They are counted while inflating: what it declares is not believed. */
const MAX_ENTRIES = 5_000;
const MAX_INFLATED_BYTES = 64 * MIB;
/** Real XML is seldom above 50:1; DEFLATE can reach 1,032:1. */
const MAX_RATIO = 200;
/** Below this any ratio is harmless. */
const RATIO_COUNTS_FROM = 4 * MIB;

export type DocxPart = { name: string; content: Buffer };

/**
 * Inflates the XML parts of a DOCX. Pictures, fonts and embedded files are never inflated. Throws
 * `unreadable_document` for archives that are damaged, encrypted, too large inflated, or hold a DTD.
 */
export async function readDocxParts(bytes: Uint8Array): Promise<DocxPart[]> {
  try {
    const archive = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return await inflateXml(await fromBufferPromise(archive, { lazyEntries: true, strictFileNames: true }));
  } catch (error) {
    if (error instanceof BulkheadError) throw error;
    throw unreadable('The Word document is damaged or incomplete.', error);
  }
}

async function inflateXml(zip: ZipFile): Promise<DocxPart[]> {
  if (zip.entryCount > MAX_ENTRIES)
    throw unreadable(`The Word document holds more than ${MAX_ENTRIES} files.`);
  const parts = new Map<string, DocxPart>();
  let total = 0;
  for await (const entry of zip.eachEntry()) {
    const name = entry.fileName;
    if (!/\.(?:xml|rels)$/i.test(name)) continue;
    // Two readers may each take another one of them: what was checked must be what is read.
    if (parts.has(name)) throw unreadable('The Word document holds two files of the same name.');
    if (entry.isEncrypted()) throw unreadable('The Word document is encrypted.');
    const content = await inflate(zip, entry, MAX_INFLATED_BYTES - total);
    total += content.length;
    // Office formats know no DTD; without one there are no entities to expand or to fetch.
    if (content.includes('<!DOCTYPE') || content.includes('<!ENTITY')) {
      throw unreadable('The Word document declares XML entities, which Word never does.');
    }
    parts.set(name, { name, content });
  }
  return [...parts.values()];
}

async function inflate(zip: ZipFile, entry: Entry, room: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const stream = await zip.openReadStreamPromise(entry);
  try {
    // A stream in binary mode: its types can't say that it gives nothing but buffers.
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length;
      const isBomb = size > RATIO_COUNTS_FROM && size > entry.compressedSize * MAX_RATIO;
      if (size > room || isBomb) {
        throw unreadable(
          `The Word document inflates to more than ${isBomb ? `${MAX_RATIO} times its size` : `${MAX_INFLATED_BYTES / MIB} MiB`}.`,
        );
      }
      chunks.push(chunk);
    }
  } finally {
    stream.destroy();
  }
  return Buffer.concat(chunks, size);
}
