import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { openPgliteDatabase } from '#app/database/pglite-database.ts';
import { openPostgresDatabase } from '#app/database/postgres-database.ts';
import type { LiveSettings } from '#app/settings/live-settings.ts';
import type { Settings } from '#app/settings/settings.ts';

type DatabaseSettings = Pick<
  Settings,
  | 'DATABASE_URL'
  | 'DATABASE_POOL_SIZE'
  | 'DATABASE_STATEMENT_TIMEOUT_MS'
  | 'DATABASE_MIGRATE'
  | 'MIGRATION_DATABASE_URL'
  | 'MIGRATION_LOCK_TIMEOUT_MS'
  | 'MIGRATION_WAIT_MS'
  | 'BULKHEAD_DATA_DIR'
>;

/**
 * Opens the database that the settings name, when its schema is one that this version works on: PostgreSQL, or PGlite in
 * the data directory, which is always migrated here. `onProgress` gets a plain line about each thing that takes time.
 */
export async function openDatabase(
  settings: DatabaseSettings,
  onIdleError?: (error: Error) => void,
  /** The login of PostgreSQL may change while the process runs. */
  live?: Pick<LiveSettings, 'current' | 'refresh'>,
  onProgress?: (line: string) => void,
): Promise<OpenDatabase> {
  const { DATABASE_URL: url } = settings;
  if (url !== undefined) {
    return openPostgresDatabase({
      connectionString: url,
      ...(live && { login: { current: () => live.current().DATABASE_URL ?? url, refresh: live.refresh } }),
      poolSize: settings.DATABASE_POOL_SIZE,
      statementTimeoutMs: settings.DATABASE_STATEMENT_TIMEOUT_MS,
      ...(onIdleError === undefined ? {} : { onIdleError }),
      schema: {
        mode: settings.DATABASE_MIGRATE,
        lockTimeoutMs: settings.MIGRATION_LOCK_TIMEOUT_MS,
        waitMs: settings.MIGRATION_WAIT_MS,
        ...(settings.MIGRATION_DATABASE_URL && { migrationUrl: settings.MIGRATION_DATABASE_URL }),
        ...(onProgress && { onProgress }),
      },
    });
  }
  const directory = join(settings.BULKHEAD_DATA_DIR, 'database');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  return openPgliteDatabase({ directory });
}
