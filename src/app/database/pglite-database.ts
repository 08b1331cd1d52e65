import type { Database, Row, Transaction } from '#app/database/database.ts';
import { databaseFault } from '#app/database/database-fault.ts';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { type MigrationConnection, migrate, readSchemaPlan } from '#app/database/migrate.ts';
import { type PgliteSession, type PgliteThread, startPgliteThread } from '#app/database/pglite-thread.ts';
import type { PgliteWorkerData } from '#app/database/pglite-worker-messages.ts';
import { shareFairly } from '#app/database/share-fairly.ts';
import { scopeParameters, type TransactionScope } from '#app/database/transaction-scope.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { untilAborted } from '#app/until-aborted.ts';

/**
 * One transaction runs and the next waits in the thread, so that it begins without a message back and forth. No reserve: they
 * last for milliseconds.
 */
const SHARE = { capacity: 2, alpha: Number.POSITIVE_INFINITY, maxWaitMs: 15_000 };

/**
 * PostgreSQL inside this process, in a thread of its own. One process at a time may use a directory: the caller holds a
 * lock. There is one connection, so transactions run one after another; its user is a superuser, which is why nothing here
 * runs a query before the scope's role is set.
 */
export async function openPgliteDatabase(options: PgliteWorkerData = {}): Promise<OpenDatabase> {
  const pglite = await startPgliteThread(options);
  try {
    await migrate(migrationConnection(pglite));
  } catch (error) {
    await pglite.close();
    throw error;
  }

  const inScope = <Result>(scope: TransactionScope, work: (transaction: Transaction) => Promise<Result>) =>
    pglite
      .transaction(scopeParameters(scope), (transaction) =>
        work({
          query: async <Found extends Row>(text: string, parameters?: readonly unknown[]) =>
            (await transaction.query<Found>(text, parameters)).rows,
        }),
      )
      .catch((error: unknown) => {
        throw databaseFault(error) ?? error;
      });

  const database: Database = {
    asUser: (context, work) => inScope({ role: 'bulkhead_app', context }, work),
    asTenant: (context, work) => inScope({ role: 'bulkhead_tenant', context }, work),
    asSystem: (work) => inScope({ role: 'bulkhead_system' }, work),
    async listen(channel, { onMessage }) {
      const stop = await pglite.listen(channel, onMessage);
      return {
        async close() {
          if (!pglite.closed) await stop();
        },
      };
    },
    async checkReady(timeoutMs) {
      const late = new BulkheadError(
        'service_unavailable',
        `The database did not answer within ${timeoutMs} ms.`,
      );
      const timeout = new AbortController();
      const timer = setTimeout(() => timeout.abort(late), timeoutMs);
      try {
        await untilAborted(pglite.query('SELECT 1'), timeout.signal);
      } finally {
        clearTimeout(timer);
      }
    },
    close: () => pglite.close(),
  };
  return { database: shareFairly(database, SHARE), jobs: { kind: 'pglite', pglite } };
}

/** What the schema lacks, and what it has from later versions; changes nothing. Throws `SchemaError` as `migrate` does. */
export async function readPgliteStatus(
  options: PgliteWorkerData,
): Promise<{ pending: string[]; newer: readonly string[] }> {
  const pglite = await startPgliteThread(options);
  try {
    const { pending, newer } = await readSchemaPlan(queriesOf(pglite));
    return { pending: pending.map(({ name }) => name), newer };
  } finally {
    await pglite.close();
  }
}

const migrationConnection = (pglite: PgliteThread): MigrationConnection => ({
  ...queriesOf(pglite),
  transaction: (work) => pglite.transaction(null, (transaction) => work(queriesOf(transaction))),
});

const queriesOf = (session: PgliteSession) => ({
  run: async (sql: string) => {
    await session.exec(sql);
  },
  query: async (sql: string, parameters?: readonly unknown[]) => (await session.query(sql, parameters)).rows,
});
