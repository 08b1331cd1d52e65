import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import type { ParserRequest } from '#rag/ingest/parse/process/messages.ts';
import { type ParserProcess, startParserProcess } from '#rag/ingest/parse/process/parser-process.ts';

/** Parser processes, used again where that is allowed. How many are used at once is for the caller to bound. */
export type ParserPool = {
  /** With `singleUse` the process reads nothing after this document. Throws what {@link ParserProcess} does. */
  run(
    request: ParserRequest,
    singleUse: boolean,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ParsedDocument>;
  /** Ends all processes. */
  close(): Promise<void>;
};

/** How long a process waits for the next document before it is ended. */
const IDLE_MS = 30_000;

/** `memoryMb` is one process's. */
export function createParserPool({ memoryMb }: { memoryMb: number }): ParserPool {
  const processes = new Set<ParserProcess>();
  const idle: { process: ParserProcess; timer: NodeJS.Timeout }[] = [];
  let isClosed = false;

  const start = (): ParserProcess => {
    const started = startParserProcess({ memoryMb });
    processes.add(started);
    return started;
  };
  const take = (): ParserProcess => {
    for (let rested = idle.pop(); rested !== undefined; rested = idle.pop()) {
      clearTimeout(rested.timer);
      if (rested.process.isAlive) return rested.process;
      processes.delete(rested.process);
    }
    return start();
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
    async run(request, singleUse, timeoutMs, signal) {
      const process = take();
      try {
        return await process.run(request, timeoutMs, signal);
      } finally {
        const isReusable = process.isAlive && !singleUse && !isClosed;
        if (!isReusable) await end(process);
        // A process takes longer to start than most documents to read: the next one starts meanwhile.
        if (!isClosed) rest(isReusable ? process : start());
      }
    },
    async close() {
      isClosed = true;
      for (const { timer } of idle.splice(0)) clearTimeout(timer);
      await Promise.all([...processes].map(end));
    },
  };
}
