import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Row } from '#app/database/database.ts';
import type {
  PgliteFailure,
  PgliteReply,
  PgliteRequest,
  PgliteRows,
  PgliteWorkerData,
  ScopeParameters,
} from '#app/database/pglite-worker-messages.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';

/** Statements of the superuser’s own, outside every scope: migrations, the job queue, tests. */
export type PgliteSession = {
  query<Result = Row>(text: string, parameters?: readonly unknown[]): Promise<{ rows: Result[] }>;
  /** Several statements, without parameters. */
  exec(text: string): Promise<{ rows: Row[] }[]>;
};

/**
 * PGlite in a thread of its own. An idle database does not keep the process alive; what is asked of it does. When its
 * thread dies, everything that waits and everything that is asked later fails with `service_unavailable`.
 */
export type PgliteThread = PgliteSession & {
  readonly closed: boolean;
  /** Commits when `work` resolves, rolls back when it throws. One runs at a time. */
  transaction<Result>(
    scope: ScopeParameters | null,
    work: (session: PgliteSession) => Promise<Result>,
  ): Promise<Result>;
  listen(channel: string, onMessage: (payload: string) => void): Promise<() => Promise<void>>;
  /** Copies the files of a database on disk to a new directory, as of one moment; everything else waits meanwhile. */
  copyTo(directory: string): Promise<void>;
  close(): Promise<void>;
};

/** Resolves when the database is open; throws when it cannot be. */
export async function startPgliteThread(data: PgliteWorkerData): Promise<PgliteThread> {
  // Beside this file in the sources and in the build, where the ending differs.
  const file = import.meta.url.endsWith('.ts') ? './pglite-worker.ts' : './pglite-worker.js';
  const worker = withErrorListener(
    new Worker(new URL(file, import.meta.url), { workerData: data, name: 'database' }),
  );
  const first = await firstReply(worker);
  if (first.type === 'unusable') throw errorOf(first.error);
  return serveThread(worker);
}

async function firstReply(worker: Worker): Promise<PgliteReply> {
  const found = new AbortController();
  const { signal } = found;
  try {
    const ended = once(worker, 'exit', { signal }).then(([code]) => {
      throw new Error(`The thread of the embedded database ended with code ${code}.`);
    });
    const replied = once(worker, 'message', { signal }).then(([reply]) => reply as PgliteReply);
    return await Promise.race([replied, ended]);
  } finally {
    found.abort();
  }
}

function serveThread(worker: Worker): PgliteThread {
  const waiting = new Map<number, PromiseWithResolvers<readonly PgliteRows[]>>();
  const listeners = new Map<number, (payload: string) => void>();
  let lastId = 0;
  let end: BulkheadError | undefined;
  let closing: Promise<void> | undefined;

  function onEnd(error: BulkheadError): void {
    end ??= error;
    for (const { reject } of waiting.values()) reject(end);
    waiting.clear();
    listeners.clear();
  }
  worker.on('error', (cause) =>
    onEnd(new BulkheadError('service_unavailable', 'The embedded database has stopped.', { cause })),
  );
  worker.on('exit', () => onEnd(new BulkheadError('service_unavailable', 'The database is closed.')));
  // The only sender is pglite-worker.ts, which uses the same types.
  worker.on('message', (reply: PgliteReply) => {
    if (reply.type === 'notified') listeners.get(reply.subscription)?.(reply.payload);
    if (reply.type !== 'answered' && reply.type !== 'failed') return;
    const asked = waiting.get(reply.id);
    waiting.delete(reply.id);
    if (waiting.size === 0) worker.unref();
    if (reply.type === 'answered') asked?.resolve(reply.results);
    else asked?.reject(errorOf(reply.error));
  });
  worker.unref();

  async function ask(request: PgliteRequest): Promise<readonly PgliteRows[]> {
    if (end !== undefined) throw end;
    const id = ++lastId;
    // Throws where a value cannot travel, before anybody waits for it.
    worker.postMessage({ id, request });
    const answer = Promise.withResolvers<readonly PgliteRows[]>();
    if (waiting.size === 0) worker.ref();
    waiting.set(id, answer);
    return answer.promise;
  }

  const sessionOf = (transaction: number | null): PgliteSession => ({
    async query<Result = Row>(text: string, parameters: readonly unknown[] = []) {
      const [found] = await ask({ type: 'query', transaction, text, parameters });
      // What rows a statement has is known to who wrote it.
      return { rows: (found?.rows ?? []) as Result[] };
    },
    exec: async (text) => [...(await ask({ type: 'exec', transaction, text }))],
  });

  return {
    ...sessionOf(null),
    get closed() {
      return end !== undefined || closing !== undefined;
    },
    async transaction(scope, work) {
      const transaction = ++lastId;
      // Nobody waits for it: what is asked in it waits in the thread, and fails with it.
      ask({ type: 'begin', transaction, scope }).catch(() => {});
      let result: Awaited<ReturnType<typeof work>>;
      try {
        result = await work(sessionOf(transaction));
      } catch (error) {
        await ask({ type: 'end', transaction, commit: false }).catch(() => {});
        throw error;
      }
      await ask({ type: 'end', transaction, commit: true });
      return result;
    },
    async listen(channel, onMessage) {
      const subscription = ++lastId;
      listeners.set(subscription, onMessage);
      await ask({ type: 'listen', subscription, channel });
      return async () => {
        listeners.delete(subscription);
        await ask({ type: 'unlisten', subscription });
      };
    },
    async copyTo(directory) {
      await ask({ type: 'copy', to: directory });
    },
    close() {
      closing ??= closeThread();
      return closing;
    },
  };

  async function closeThread(): Promise<void> {
    if (end !== undefined) return;
    const exited = once(worker, 'exit');
    await ask({ type: 'close' });
    worker.ref();
    await exited;
  }
}

function errorOf({ message, fields }: PgliteFailure): Error {
  return Object.assign(new Error(message), fields);
}
