import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import { type DocumentFormat, detectFormat } from '#rag/ingest/parse/detect-format.ts';
import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import { createParserPool } from '#rag/ingest/parse/process/parser-pool.ts';
import { ParserTimeout } from '#rag/ingest/parse/process/parser-process.ts';
import type { FileLabel } from '#rag/ingest/parse/unreadable.ts';

/** Whose file it is: tenants take turns at the processes. */
export type ParseOptions = Readonly<{ tenantId: string; signal: AbortSignal }>;

/** Reads files into text, in processes of their own that are bounded in number, time and memory. */
export interface DocumentParser {
  /**
   * Throws `unsupported_media_type`, `invalid_encoding` or `unreadable_document`, each with `param: 'file'` and
   * a reason for the uploader; the signal's reason when aborted; `service_unavailable` when no process starts.
   */
  parse(bytes: Uint8Array, file: FileLabel, options: ParseOptions): Promise<ParsedDocument>;
  /** Ends all processes; what is still being parsed fails. */
  close(): Promise<void>;
}

/** These are read by large parsers of others: a process that saw one document never sees another's. */
const SINGLE_USE: ReadonlySet<DocumentFormat> = new Set(['pdf', 'docx']);
/** Files up to this size are tried at the quick place first. */
const QUICK_MAX_BYTES = 262_144;
/** Longest that a file keeps the quick place, milliseconds; nearly all small files take less than 100. */
const QUICK_MS = 2_000;
/** Jobs bound how many wait, and each has a deadline of its own. */
const UNBOUNDED = {
  maxWaiting: Number.MAX_SAFE_INTEGER,
  maxWaitMs: 2 ** 31 - 1,
  alpha: Number.POSITIVE_INFINITY,
};

/**
 * `timeoutMs` counts from when a process begins to read; `memoryMb` is one process's; `workers` is how many read files that
 * take long. One more, the quick place, reads small files, each for two seconds at most: one that takes longer, as a hostile
 * one of a kilobyte can, is read again from its start by one of the others. So a note waits for no large file, and of each
 * other tenant for one small one.
 */
export function createDocumentParser(options: {
  timeoutMs: number;
  memoryMb: number;
  workers: number;
}): DocumentParser {
  const { timeoutMs, memoryMb, workers } = options;
  const closing = new AbortController();
  const pool = createParserPool({ memoryMb });
  const quick = new FairSemaphore({ resource: 'quick parsers', capacity: 1, ...UNBOUNDED });
  const patient = new FairSemaphore({ resource: 'parsers', capacity: workers, ...UNBOUNDED });

  return {
    async parse(bytes, file, { tenantId, signal }) {
      const format = detectFormat(bytes, file);
      const stop = AbortSignal.any([signal, closing.signal]);
      const { filename, mediaType } = file;
      const read = (places: FairSemaphore, limitMs: number) =>
        places.run(tenantId, stop, () =>
          pool.run({ format, filename, mediaType, bytes }, SINGLE_USE.has(format), limitMs, stop),
        );
      if (bytes.length > QUICK_MAX_BYTES) return read(patient, timeoutMs);
      try {
        return await read(quick, Math.min(QUICK_MS, timeoutMs));
      } catch (error) {
        if (!(error instanceof ParserTimeout) || timeoutMs <= QUICK_MS) throw error;
      }
      return read(patient, timeoutMs);
    },

    async close() {
      closing.abort(new DOMException('The document parser was closed.', 'AbortError'));
      await pool.close();
    },
  };
}
