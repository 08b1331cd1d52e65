import { constants } from 'node:fs';
import { cp } from 'node:fs/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { PGlite, type Transaction } from '@electric-sql/pglite';
import type { Row } from '#app/database/database.ts';
import type {
  PgliteFailure,
  PgliteReply,
  PgliteRequest,
  PgliteRows,
  PgliteWorkerData,
} from '#app/database/pglite-worker-messages.ts';
import { ENTER_SCOPE } from '#app/database/transaction-scope.ts';

/** The thread that PGlite runs in: a statement computes synchronously, and would stop every request and stream for its length. */
if (parentPort === null) throw new Error('pglite-worker.ts runs as a worker thread only.');
const port = parentPort;
const reply = (message: PgliteReply): void => port.postMessage(message);

type Open = {
  /** Rejects where it could not begin. */
  begun: Promise<Transaction>;
  /** Settles when it is committed or rolled back. */
  ended: Promise<void>;
  commit(): void;
  rollBack(): void;
};

const ROLLED_BACK = new Error('The transaction is rolled back.');
const ERROR_FIELDS = ['severity', 'code', 'detail', 'hint', 'schema', 'table', 'column', 'constraint'];

// The only sender is pglite-thread.ts, which uses the same types.
const { directory, loadDataDir } = workerData as PgliteWorkerData;

try {
  serve(
    await PGlite.create({
      ...(directory === undefined ? {} : { dataDir: directory }),
      ...(loadDataDir === undefined ? {} : { loadDataDir }),
    }),
  );
} catch (error) {
  reply({ type: 'unusable', error: failureOf(error) });
}

function serve(pglite: PGlite): void {
  const transactions = new Map<number, Open>();
  const subscriptions = new Map<number, Promise<() => Promise<void>>>();

  async function answer(request: PgliteRequest): Promise<readonly PgliteRows[]> {
    switch (request.type) {
      case 'begin': {
        const open = begin(pglite, request.scope);
        transactions.set(request.transaction, open);
        await open.begun;
        return [];
      }
      case 'end': {
        const open = openOf(request.transaction);
        transactions.delete(request.transaction);
        if (request.commit) open.commit();
        else open.rollBack();
        await open.ended;
        return [];
      }
      case 'query': {
        const where = await placeOf(request.transaction);
        return [{ rows: (await where.query<Row>(request.text, [...request.parameters])).rows }];
      }
      case 'exec': {
        const where = await placeOf(request.transaction);
        return (await where.exec(request.text)).map(({ rows }) => ({ rows }));
      }
      case 'listen': {
        const { subscription, channel } = request;
        const listening = pglite.listen(channel, (payload) =>
          reply({ type: 'notified', subscription, payload }),
        );
        subscriptions.set(subscription, listening);
        await listening;
        return [];
      }
      case 'unlisten': {
        const listening = subscriptions.get(request.subscription);
        subscriptions.delete(request.subscription);
        await (await listening)?.();
        return [];
      }
      case 'copy':
        await copyDatabase(pglite, request.to);
        return [];
      case 'close':
        await pglite.close();
        return [];
    }
  }

  const placeOf = async (
    transaction: number | null,
  ): Promise<Pick<PGlite, 'query' | 'exec'> | Transaction> =>
    transaction === null ? pglite : openOf(transaction).begun;

  function openOf(transaction: number): Open {
    const open = transactions.get(transaction);
    if (open === undefined) throw new Error('There is no such transaction, or it has ended.');
    return open;
  }

  port.on('message', ({ id, request }: { id: number; request: PgliteRequest }) => {
    answer(request)
      .then(
        (results) => reply({ type: 'answered', id, results }),
        (error: unknown) => reply({ type: 'failed', id, error: failureOf(error) }),
      )
      .finally(() => {
        if (request.type === 'close') port.close();
      });
  });
  reply({ type: 'ready' });
}

/** Begins when those before it have ended. Its role is set before anything can be asked in it: the session is a superuser’s. */
function begin(pglite: PGlite, scope: (PgliteRequest & { type: 'begin' })['scope']): Open {
  const begun = Promise.withResolvers<Transaction>();
  const asked = Promise.withResolvers<void>();
  const ended = pglite
    .transaction(async (transaction) => {
      if (scope !== null) await transaction.query(ENTER_SCOPE, [...scope]);
      begun.resolve(transaction);
      await asked.promise;
    })
    .catch((error: unknown) => {
      if (error === ROLLED_BACK) return;
      begun.reject(error);
      throw error;
    });
  // Whoever asks for either is told; nobody may.
  asked.promise.catch(() => {});
  begun.promise.catch(() => {});
  ended.catch(() => {});
  return {
    begun: begun.promise,
    ended,
    commit: () => asked.resolve(),
    rollBack: () => asked.reject(ROLLED_BACK),
  };
}

/**
 * Copies the database's files as they are between two transactions. After a checkpoint they need little recovery, and
 * nothing changes them meanwhile: all else waits, for a copy on the same disk.
 */
async function copyDatabase(pglite: PGlite, to: string): Promise<void> {
  if (directory === undefined) throw new Error('A database in memory has no files to copy.');
  await pglite.transaction(async (transaction) => {
    await transaction.exec('CHECKPOINT');
    await cp(directory, to, {
      recursive: true,
      errorOnExist: true,
      force: false,
      // Where the file system can, blocks are shared until one of the two changes.
      mode: constants.COPYFILE_FICLONE,
    });
  });
}

function failureOf(error: unknown): PgliteFailure {
  if (!(error instanceof Error)) return { message: String(error), fields: {} };
  const known = Object.entries(error).filter(
    (entry): entry is [string, string] => ERROR_FIELDS.includes(entry[0]) && typeof entry[1] === 'string',
  );
  return { message: error.message, fields: Object.fromEntries(known) };
}
