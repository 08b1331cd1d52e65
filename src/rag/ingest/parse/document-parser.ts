import { type DocumentFormat, detectFormat } from '#rag/ingest/parse/detect-format.ts';
import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import { type ParserProcess, startParserProcess } from '#rag/ingest/parse/process/parser-process.ts';
import type { FileLabel } from '#rag/ingest/parse/unreadable.ts';

/** Reads files into text, in processes of their own that are bounded in number, time and memory. */
export interface DocumentParser {
  /**
   * Throws `unsupported_media_type`, `invalid_encoding` or `unreadable_document`, each with `param: 'file'` and
   * a reason for the uploader; the signal's reason when aborted; `service_unavailable` when no process starts.
   */
  parse(bytes: Uint8Array, file: FileLabel, signal: AbortSignal): Promise<ParsedDocument>;
  /** Ends all processes; what is still being parsed fails. */
  close(): Promise<void>;
}

/** These are read by large parsers of others: a process that saw one document never sees another's. */
const SINGLE_USE: ReadonlySet<DocumentFormat> = new Set(['pdf', 'docx']);
/** How long a process waits for the next document before it is ended. */
const IDLE_MS = 30_000;

/** `timeoutMs` counts from when a process begins to read; `memoryMb` is one process's; `workers` is how many run. */
export function createDocumentParser(options: {
  timeoutMs: number;
  memoryMb: number;
  workers: number;
}): DocumentParser {
  const closing = new AbortController();
  const processes = new Set<ParserProcess>();
  const idle: { process: ParserProcess; timer: NodeJS.Timeout }[] = [];
  const waiting: (() => void)[] = [];
  let busy = 0;

  const takeTurn = async (signal: AbortSignal) => {
    if (busy < options.workers) {
      busy++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const onTurn = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      const onAbort = () => {
        waiting.splice(waiting.indexOf(onTurn), 1);
        reject(signal.reason);
      };
      waiting.push(onTurn);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  };
  // A turn is handed over rather than given back, so that nobody can overtake the first in line.
  const passTurn = () => {
    const next = waiting.shift();
    if (next === undefined) busy--;
    else next();
  };

  const takeProcess = (): ParserProcess => {
    for (let rested = idle.pop(); rested !== undefined; rested = idle.pop()) {
      clearTimeout(rested.timer);
      if (rested.process.isAlive) return rested.process;
      processes.delete(rested.process);
    }
    return startProcess();
  };
  const startProcess = (): ParserProcess => {
    const started = startParserProcess({ memoryMb: options.memoryMb });
    processes.add(started);
    return started;
  };
  const end = async (process: ParserProcess) => {
    await process.kill();
    processes.delete(process);
  };
  const rest = (process: ParserProcess) => {
    const timer = setTimeout(() => {
      idle.splice(
        idle.findIndex((each) => each.process === process),
        1,
      );
      void end(process);
    }, IDLE_MS);
    timer.unref();
    idle.push({ process, timer });
  };

  return {
    async parse(bytes, file, signal) {
      const format = detectFormat(bytes, file);
      const stop = AbortSignal.any([signal, closing.signal]);
      stop.throwIfAborted();
      await takeTurn(stop);
      try {
        const process = takeProcess();
        try {
          const { filename, mediaType } = file;
          return await process.run({ format, filename, mediaType, bytes }, options.timeoutMs, stop);
        } finally {
          const isReusable = process.isAlive && !SINGLE_USE.has(format) && !closing.signal.aborted;
          if (!isReusable) await end(process);
          // A process takes longer to start than most documents to read: the next one starts meanwhile.
          if (!closing.signal.aborted) rest(isReusable ? process : startProcess());
        }
      } finally {
        passTurn();
      }
    },

    async close() {
      closing.abort(new DOMException('The document parser was closed.', 'AbortError'));
      for (const { timer } of idle.splice(0)) clearTimeout(timer);
      await Promise.all([...processes].map(end));
    },
  };
}
