import { PGlite } from '@electric-sql/pglite';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { migrate } from '#app/database/migrate.ts';
import { openPgliteDatabase } from '#app/database/pglite-database.ts';

let template: Promise<Blob> | undefined;

/** Migrating an empty PGlite takes seconds; loading a migrated dump takes a quarter of one. One dump a worker. */
async function migratedDump(): Promise<Blob> {
  const pglite = await PGlite.create();
  try {
    await pglite.transaction((transaction) =>
      migrate({
        run: async (sql) => {
          await transaction.exec(sql);
        },
        query: async (sql, parameters) =>
          (await transaction.query<Record<string, unknown>>(sql, [...(parameters ?? [])])).rows,
      }),
    );
    return await pglite.dumpDataDir('none');
  } finally {
    await pglite.close();
  }
}

/** A database of its own for one test file: real PostgreSQL in memory, migrated and empty. */
export async function createTestDatabase(): Promise<OpenDatabase & { close(): Promise<void> }> {
  template ??= migratedDump();
  const open = await openPgliteDatabase({ loadDataDir: await template });
  return { ...open, close: () => open.database.close() };
}
