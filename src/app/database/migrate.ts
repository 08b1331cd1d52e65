import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';

/** A connection that speaks as the schema's owner, inside a transaction. `run` takes several statements. */
export type MigrationConnection = {
  run(sql: string): Promise<void>;
  query(sql: string, parameters?: readonly unknown[]): Promise<Record<string, unknown>[]>;
};

export type Migration = { name: string; sql: string; checksum: string };

const DIRECTORY = new URL('./migrations/', import.meta.url);

/** The migrations in the order of their names, `0001-….sql` first. */
export async function readMigrations(): Promise<Migration[]> {
  const names = (await readdir(DIRECTORY)).filter((name) => name.endsWith('.sql')).sort();
  return Promise.all(
    names.map(async (name) => {
      const sql = await readFile(new URL(name, DIRECTORY), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/**
 * Applies what is missing, in the transaction of the connection: all or nothing. A migration that was applied
 * and has changed since, or that this version does not know, is an error: the schema would be a guess.
 */
export async function migrate(connection: MigrationConnection): Promise<void> {
  await connection.run(`
    CREATE SCHEMA IF NOT EXISTS bulkhead;
    CREATE TABLE IF NOT EXISTS bulkhead.schema_migrations (
      name text PRIMARY KEY,
      checksum text NOT NULL,
      applied_at timestamptz NOT NULL DEFAULT now()
    );
  `);
  const migrations = await readMigrations();
  const rows = await connection.query('SELECT name, checksum FROM bulkhead.schema_migrations');
  const applied = new Map(rows.map((row) => [String(row.name), String(row.checksum)]));
  for (const name of applied.keys()) {
    if (!migrations.some((migration) => migration.name === name)) {
      throw new Error(`The database has migration ${name}, which this version does not know: it is newer.`);
    }
  }
  for (const { name, sql, checksum } of migrations) {
    const known = applied.get(name);
    if (known === checksum) continue;
    if (known !== undefined) throw new Error(`Migration ${name} has changed since it was applied.`);
    await connection.run(sql);
    await connection.query('INSERT INTO bulkhead.schema_migrations (name, checksum) VALUES ($1, $2)', [
      name,
      checksum,
    ]);
  }
}
