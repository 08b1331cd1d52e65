import { PGlite, type PGliteOptions } from '@electric-sql/pglite';
import type { Database, Row, Transaction } from '#app/database/database.ts';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { migrate } from '#app/database/migrate.ts';
import { ENTER_SCOPE, scopeParameters, type TransactionScope } from '#app/database/transaction-scope.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';

export type PgliteDatabaseOptions = {
  /** Where the data lives; absent: in memory. One process at a time may use it: the caller holds a lock. */
  directory?: string;
  /** A dump to start from (`dumpDataDir`), already migrated or not. */
  loadDataDir?: NonNullable<PGliteOptions['loadDataDir']>;
};

/**
 * PostgreSQL inside this process. There is one connection, so transactions run one after another; its user is
 * a superuser, which is why nothing here runs a query before the scope's role is set.
 */
export async function openPgliteDatabase(options: PgliteDatabaseOptions = {}): Promise<OpenDatabase> {
  const pglite = await PGlite.create({
    ...(options.directory === undefined ? {} : { dataDir: options.directory }),
    ...(options.loadDataDir === undefined ? {} : { loadDataDir: options.loadDataDir }),
  });
  try {
    await pglite.transaction((transaction) =>
      migrate({
        run: async (sql) => {
          await transaction.exec(sql);
        },
        query: async (sql, parameters) => (await transaction.query<Row>(sql, [...(parameters ?? [])])).rows,
      }),
    );
  } catch (error) {
    await pglite.close();
    throw error;
  }

  const inScope = <Result>(scope: TransactionScope, work: (transaction: Transaction) => Promise<Result>) =>
    pglite.transaction(async (transaction) => {
      await transaction.query(ENTER_SCOPE, scopeParameters(scope));
      return work({
        query: async <Found extends Row>(text: string, parameters: readonly unknown[] = []) =>
          (await transaction.query<Found>(text, [...parameters])).rows,
      });
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
    async checkReady() {
      if (pglite.closed) throw new BulkheadError('service_unavailable', 'The database is closed.');
      await pglite.query('SELECT 1');
    },
    async close() {
      if (!pglite.closed) await pglite.close();
    },
  };
  return { database, jobs: { kind: 'pglite', pglite } };
}
