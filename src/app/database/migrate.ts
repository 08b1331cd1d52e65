import { LAST_UNDECLARED_LEVEL, type Migration, readMigrations } from '#app/database/read-migrations.ts';
import { type AppliedMigration, planSchema, type SchemaPlan } from '#app/database/schema-plan.ts';
import { splitStatements } from '#app/database/split-statements.ts';

export { type Migration, readMigrations } from '#app/database/read-migrations.ts';

type Queries = {
  /** Takes several statements. */
  run(sql: string): Promise<void>;
  query(sql: string, parameters?: readonly unknown[]): Promise<Record<string, unknown>[]>;
};

/** A connection that speaks as the schema's owner. */
export type MigrationConnection = Queries & {
  /**
   * Commits when `work` resolves, rolls back when it throws; it may run `work` again after a rollback. Absent: the
   * connection is inside a transaction of the caller's, and everything happens in that one.
   */
  transaction?(work: (connection: Queries) => Promise<void>): Promise<void>;
};

export type MigrateOptions = Readonly<{
  /** Default: those of this version. */
  migrations?: readonly Migration[];
  onApply?(migration: Migration): void;
  onApplied?(migration: Migration): void;
}>;

/**
 * `schema_migrations` is all that versions until level 18 read, and a name in it that they do not know keeps them from
 * starting. So it has the steps until 18 and those that contract; `schema_changes` has every later one.
 */
const TABLES = `
  CREATE SCHEMA IF NOT EXISTS bulkhead;
  CREATE TABLE IF NOT EXISTS bulkhead.schema_migrations (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
  );
  CREATE TABLE IF NOT EXISTS bulkhead.schema_changes (
    name text PRIMARY KEY,
    checksum text NOT NULL,
    minimum_level integer NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
  );
`;

/**
 * Applies what is missing, each step in a transaction of its own where the connection can begin one: a run that is cut
 * off is gone on with by the next. Throws `SchemaError` where the database has a step that this version cannot work
 * with, or that has changed since it was applied. The caller holds the lock under which one process migrates at a time.
 */
export async function migrate(connection: MigrationConnection, options: MigrateOptions = {}): Promise<void> {
  const migrations = options.migrations ?? (await readMigrations());
  const { pending } = planSchema(migrations, await readApplied(connection));
  if (!(await hasTables(connection))) await inTransaction(connection, ({ run }) => run(TABLES));
  for (const migration of pending) {
    options.onApply?.(migration);
    await apply(connection, migration);
    options.onApplied?.(migration);
  }
  // The roles are there by now. A login that owns nothing reads what it starts on.
  await inTransaction(connection, ({ run }) =>
    run('GRANT SELECT ON bulkhead.schema_migrations, bulkhead.schema_changes TO bulkhead_system'),
  );
}

/** What is missing and what is newer, without changing anything. Throws as {@link migrate} does. */
export async function readSchemaPlan(
  connection: Pick<Queries, 'query'>,
  migrations?: readonly Migration[],
): Promise<SchemaPlan> {
  return planSchema(migrations ?? (await readMigrations()), await readApplied(connection));
}

async function hasTables({ query }: Pick<Queries, 'query'>): Promise<boolean> {
  const [row] = await query(`SELECT to_regclass('bulkhead.schema_migrations') IS NOT NULL
    AND to_regclass('bulkhead.schema_changes') IS NOT NULL AS found`);
  return row?.found === true;
}

async function readApplied({ query }: Pick<Queries, 'query'>): Promise<AppliedMigration[]> {
  const [found] = await query(`SELECT to_regclass('bulkhead.schema_migrations') IS NOT NULL AS migrations,
    to_regclass('bulkhead.schema_changes') IS NOT NULL AS changes`);
  const applied = new Map<string, AppliedMigration>();
  if (found?.migrations === true) {
    for (const row of await query('SELECT name, checksum FROM bulkhead.schema_migrations ORDER BY name')) {
      const name = String(row.name);
      applied.set(name, { name, checksum: String(row.checksum), minimumLevel: null });
    }
  }
  if (found?.changes === true) {
    const rows = await query(
      'SELECT name, checksum, minimum_level FROM bulkhead.schema_changes ORDER BY name',
    );
    for (const row of rows) {
      const name = String(row.name);
      applied.set(name, { name, checksum: String(row.checksum), minimumLevel: Number(row.minimum_level) });
    }
  }
  return [...applied.values()];
}

async function apply(connection: MigrationConnection, migration: Migration): Promise<void> {
  if (migration.isTransactional) {
    await inTransaction(connection, async (transaction) => {
      await transaction.run(migration.sql);
      await record(transaction, migration);
    });
    return;
  }
  if (connection.transaction === undefined) {
    throw new Error(
      `Migration ${migration.name} cannot run inside a transaction, and this connection is in one.`,
    );
  }
  for (const statement of splitStatements(migration.sql)) {
    await dropInvalidIndex(connection, statement);
    await connection.run(statement);
  }
  await inTransaction(connection, (transaction) => record(transaction, migration));
}

async function inTransaction(
  connection: MigrationConnection,
  work: (connection: Queries) => Promise<void>,
): Promise<void> {
  if (connection.transaction === undefined) await work(connection);
  else await connection.transaction(work);
}

async function record({ query }: Queries, { name, checksum, minimumLevel }: Migration): Promise<void> {
  if (minimumLevel !== null) {
    await query('INSERT INTO bulkhead.schema_changes (name, checksum, minimum_level) VALUES ($1, $2, $3)', [
      name,
      checksum,
      minimumLevel,
    ]);
  }
  if (minimumLevel === null || minimumLevel > LAST_UNDECLARED_LEVEL) {
    await query('INSERT INTO bulkhead.schema_migrations (name, checksum) VALUES ($1, $2)', [name, checksum]);
  }
}

const CONCURRENT_INDEX =
  /^CREATE (?:UNIQUE )?INDEX CONCURRENTLY (?:IF NOT EXISTS )?([a-z0-9_]+) ON bulkhead\./i;

/** A concurrent build that was cut off leaves an index that serves nothing and keeps `IF NOT EXISTS` from building it. */
async function dropInvalidIndex(connection: Queries, statement: string): Promise<void> {
  const name = CONCURRENT_INDEX.exec(statement)?.[1];
  if (name === undefined) return;
  const [found] = await connection.query(
    `SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
      WHERE c.relnamespace = 'bulkhead'::regnamespace AND c.relname = $1 AND NOT i.indisvalid`,
    [name],
  );
  if (found !== undefined) await connection.run(`DROP INDEX CONCURRENTLY IF EXISTS bulkhead.${name}`);
}
