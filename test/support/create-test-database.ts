import { readFile } from 'node:fs/promises';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { openPgliteDatabase } from '#app/database/pglite-database.ts';
import { migratedDump } from './migrated-dump.ts';

let dump: Promise<Blob> | undefined;

const readDump = async () => new Blob([await readFile(await migratedDump())]);

/** A database of its own for one test file: real PostgreSQL in memory, migrated and empty. */
export async function createTestDatabase(): Promise<OpenDatabase & { close(): Promise<void> }> {
  dump ??= readDump();
  const open = await openPgliteDatabase({ loadDataDir: await dump });
  return { ...open, close: () => open.database.close() };
}
