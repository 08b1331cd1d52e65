import { type ChildProcess, fork } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { ParsedDocument } from '#rag/ingest/parse/parsed-document.ts';
import { type ParserRequest, parserReplySchema } from '#rag/ingest/parse/process/messages.ts';
import { unpackDocument } from '#rag/ingest/parse/process/packed-document.ts';
import { unreadable } from '#rag/ingest/parse/unreadable.ts';

/** What Node and the parsers need before they hold a document, MiB. Measured: 90 to 120. */
const RUNTIME_MB = 160;
/** Longest that a new process may take to say that it is ready, also on a busy machine. */
const START_TIMEOUT_MS = 30_000;

/** One operating-system process that parses. It is spent after an error that isn't the document's own. */
export interface ParserProcess {
  readonly isAlive: boolean;
  run(request: ParserRequest, timeoutMs: number, signal: AbortSignal): Promise<ParsedDocument>;
  /** Resolves when the process is gone. */
  kill(): Promise<void>;
}

type Ending = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>;

/**
 * Starts a parser process: no environment, no writing to disk, no further processes, reading of this package
 * only. A process and not a worker thread, because a thread that outgrows `resourceLimits` in a single
 * allocation takes its host down with it (nodejs/node#47224; seen on Node 24).
 */
export function startParserProcess(options: { memoryMb: number }): ParserProcess {
  const child = forkParser(options.memoryMb);
  let ending: Ending | null = null;
  const ended = new Promise<void>((resolve) => {
    const onEnd = (code: number | null, signal: NodeJS.Signals | null) => {
      ending ??= { code, signal };
      resolve();
    };
    child.once('exit', onEnd);
    child.once('error', () => onEnd(null, null));
  });

  /** What came before anybody asked: a process says that it is ready as soon as it is. */
  let unread: unknown[] = [];
  let onMessage: ((message: unknown) => void) | null = null;
  child.on('message', (message) => {
    if (onMessage === null) unread.push(message);
    else onMessage(message);
  });
  // Nothing waits for it yet.
  release(child);

  let isReady = false;
  const nextReply = (signal: AbortSignal, timeoutMs: number, onTimeout: () => BulkheadError) =>
    new Promise<unknown>((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer);
        onMessage = null;
        signal.removeEventListener('abort', onAbort);
        child.off('exit', onEnd).off('error', onEnd);
        act();
      };
      const onAbort = () => settle(() => reject(signal.reason));
      const onEnd = () => settle(() => reject(endedTooSoon(ending, isReady, options.memoryMb)));
      const timer = setTimeout(() => settle(() => reject(onTimeout())), timeoutMs);
      onMessage = (message) => settle(() => resolve(message));
      if (unread.length > 0) return onMessage(unread.shift());
      if (ending !== null) return onEnd();
      if (signal.aborted) return onAbort();
      child.once('exit', onEnd).once('error', onEnd);
      signal.addEventListener('abort', onAbort, { once: true });
    });

  const start = async (signal: AbortSignal) => {
    if (isReady) return;
    const failedToStart = () =>
      new BulkheadError('service_unavailable', 'The document parser did not start.');
    const reply = parserReplySchema.safeParse(await nextReply(signal, START_TIMEOUT_MS, failedToStart));
    if (!reply.success || reply.data.kind !== 'ready') throw failedToStart();
    isReady = true;
  };

  const kill = async () => {
    if (ending !== null) return;
    hold(child);
    child.kill('SIGKILL');
    await ended;
  };

  return {
    get isAlive() {
      return ending === null;
    },
    async run(request, timeoutMs, signal) {
      hold(child);
      try {
        await start(signal);
        // An answer that nobody asked for must not become the next document's.
        unread = [];
        const answered = nextReply(signal, timeoutMs, () => new ParserTimeout(timeoutMs));
        child.send(request, () => {
          // A failed send means that the process is gone, which `answered` tells better.
        });
        const reply = parserReplySchema.safeParse(await answered);
        if (!reply.success || reply.data.kind === 'ready') throw unusable();
        if (reply.data.kind === 'document') {
          const document = unpackDocument(reply.data.document);
          if (document === null) throw unusable();
          return document;
        }
        throw new DocumentError(reply.data.code, reply.data.message, { param: 'file' });
      } catch (error) {
        if (!(error instanceof DocumentError)) await kill();
        throw error;
      } finally {
        release(child);
      }
    },
    kill,
  };
}

const unusable = (): BulkheadError => unreadable('The parser gave no usable answer.');

/** The document was not read within the time. */
export class ParserTimeout extends BulkheadError {
  constructor(timeoutMs: number) {
    const message = `Reading the document took longer than ${timeoutMs / 1_000} seconds.`;
    super('unreadable_document', message, { param: 'file' });
  }
}

/** The parser itself judged the document; the process is sound. */
class DocumentError extends BulkheadError {}

function forkParser(memoryMb: number): ChildProcess {
  const isSource = import.meta.url.endsWith('.ts');
  const root = new URL('../../../../../', import.meta.url);
  const readable = [isSource ? 'src' : 'dist', 'node_modules', 'package.json'];
  // A send that failed is told by the exit.
  return withErrorListener(
    fork(
      new URL(`./main.${isSource ? 'ts' : 'js'}`, import.meta.url),
      [String(memoryMb + RUNTIME_MB), String(process.pid)],
      {
        execArgv: [
          `--max-old-space-size=${memoryMb}`,
          ...(isSource ? [] : ['--conditions=bulkhead-dist']),
          '--permission',
          '--allow-worker',
          // The permission is checked against real paths, and `node_modules` may be a link.
          ...readable.map((path) => `--allow-fs-read=${realpathSync(fileURLToPath(new URL(path, root)))}`),
          '--no-warnings',
        ],
        env: {},
        serialization: 'advanced',
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      },
    ),
  );
}

/** A busy parser keeps its host running; an idle one doesn't. */
function hold(child: ChildProcess): void {
  child.ref();
  child.channel?.ref();
}

function release(child: ChildProcess): void {
  child.unref();
  child.channel?.unref();
}

function endedTooSoon(ending: Ending | null, isReady: boolean, memoryMb: number): BulkheadError {
  if (!isReady) return new BulkheadError('service_unavailable', 'The document parser did not start.');
  // The watchdog and the kernel kill; V8 aborts when its heap is full.
  const isMemory = ending?.signal === 'SIGKILL' || ending?.signal === 'SIGABRT' || ending?.code === 134;
  return unreadable(
    isMemory
      ? `Reading the document takes more than ${memoryMb} MiB of memory.`
      : 'The document makes the parser fail.',
  );
}
