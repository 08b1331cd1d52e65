import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Database } from '#app/database/database.ts';
import { openDatabase } from '#app/database/open-database.ts';
import { loadSettings } from '#app/settings/load-settings.ts';
import { createPostgresDatabase } from '#test/support/create-postgres-database.ts';
import { startPostgres } from '#test/support/start-postgres.ts';
import { NotInstalledError } from '#test/support/started-server.ts';

/** The databases that the product runs on, migrated and empty: PGlite on disk, and PostgreSQL where it is installed. */
export async function openBenchDatabases(): Promise<{
  databases: readonly { name: string; database: Database }[];
  close(): Promise<void>;
}> {
  const directory = await mkdtemp(join(tmpdir(), 'bulkhead-bench-'));
  const databases: { name: string; database: Database }[] = [];
  const closers: (() => Promise<void>)[] = [() => rm(directory, { recursive: true, force: true })];
  const close = async () => {
    for (const undo of closers.reverse()) await undo();
  };
  const open = async (name: string, url?: string) => {
    const { database } = await openDatabase({
      ...loadSettings({ DATABASE_URL: url, DATABASE_STATEMENT_TIMEOUT_MS: '60000' }),
      BULKHEAD_DATA_DIR: directory,
    });
    closers.push(() => database.close());
    databases.push({ name, database });
  };
  try {
    await open('PGlite');
    try {
      const server = await startPostgres();
      closers.push(() => server.stop());
      await open('PostgreSQL', (await createPostgresDatabase(server.env.TEST_POSTGRES_URL)).url);
    } catch (error) {
      if (!(error instanceof NotInstalledError)) throw error;
      console.error(`SKIPPED: ${error.message}`);
    }
    return { databases, close };
  } catch (error) {
    await close();
    throw error;
  }
}
