import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { openPgliteDatabase } from '#app/database/pglite-database.ts';
import { openPostgresDatabase } from '#app/database/postgres-database.ts';
import type { Settings } from '#app/settings/settings.ts';

type DatabaseSettings = Pick<
  Settings,
  'DATABASE_URL' | 'DATABASE_POOL_SIZE' | 'DATABASE_STATEMENT_TIMEOUT_MS' | 'BULKHEAD_DATA_DIR'
>;

/** Opens and migrates the database that the settings name: PostgreSQL, or PGlite in the data directory. */
export async function openDatabase(
  settings: DatabaseSettings,
  onIdleError?: (error: Error) => void,
): Promise<OpenDatabase> {
  if (settings.DATABASE_URL !== undefined) {
    return openPostgresDatabase({
      connectionString: settings.DATABASE_URL,
      poolSize: settings.DATABASE_POOL_SIZE,
      statementTimeoutMs: settings.DATABASE_STATEMENT_TIMEOUT_MS,
      ...(onIdleError === undefined ? {} : { onIdleError }),
    });
  }
  const directory = join(settings.BULKHEAD_DATA_DIR, 'database');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return openPgliteDatabase({ directory });
}
