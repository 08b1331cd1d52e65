import pg from 'pg';
import { checkPolicies, createDatabaseRoles, grantJobQueue } from '#app/database/database-roles.ts';
import { JOB_QUEUE_LEVEL, migrateJobQueue, readJobQueueLevel } from '#app/database/job-queue-schema.ts';
import { type Migration, type MigrationConnection, migrate, readSchemaPlan } from '#app/database/migrate.ts';
import { openClient, openMigrationSession } from '#app/database/migration-session.ts';
import { SchemaError } from '#app/database/schema-plan.ts';

export type PostgresMigrationOptions = Readonly<{
  /** Of the schema's owner. */
  connectionString: string;
  /** The services' login, where it is another: it may then act as the roles, and use the job queue. */
  login: string | null;
  lockTimeoutMs: number;
  waitMs: number;
  onProgress: (line: string) => void;
  signal?: AbortSignal;
  /** Default: those of this version. */
  migrations?: readonly Migration[];
}>;

/** What a database lacks, and what it has from later versions; `jobQueue`: the level of the job queue's schema. */
export type SchemaStatus = Readonly<{
  pending: readonly string[];
  newer: readonly string[];
  jobQueue: number | null;
}>;

/** Whether this version starts on it without any change. */
export const isCurrent = ({ pending, jobQueue }: SchemaStatus): boolean =>
  pending.length === 0 && jobQueue !== null && jobQueue >= JOB_QUEUE_LEVEL;

/** One line for each step that is missing. */
export const describePending = ({ pending, jobQueue }: SchemaStatus): string[] => [
  ...pending,
  ...(jobQueue !== null && jobQueue >= JOB_QUEUE_LEVEL
    ? []
    : [`job queue ${JOB_QUEUE_LEVEL} (the database has ${jobQueue ?? 'none'})`]),
];

/** Applies what is missing of the schema and of the job queue's. Throws `SchemaError` where this version may not. */
export async function migratePostgres(options: PostgresMigrationOptions): Promise<void> {
  const { login, onProgress, migrations } = options;
  const session = await openMigrationSession(options);
  try {
    await checkPolicies(session);
    await createDatabaseRoles(session, login);
    let startedAt = 0;
    await migrate(session, {
      ...(migrations && { migrations }),
      onApply(migration) {
        startedAt = performance.now();
        session.name = migration.name;
      },
      onApplied: ({ name }) =>
        onProgress(`${name}: applied (${((performance.now() - startedAt) / 1_000).toFixed(1)} s)`),
    });
    session.name = 'The job queue’s schema';
    const before = await readJobQueueLevel(session);
    await migrateJobQueue(session);
    if (before === null || before < JOB_QUEUE_LEVEL) onProgress(`job queue: at level ${JOB_QUEUE_LEVEL}`);
    await grantJobQueue(session, login);
  } finally {
    await session.close();
  }
}

/** Makes the roles alone, for a dump that is to be restored. */
export async function createRoles(options: PostgresMigrationOptions): Promise<void> {
  const session = await openMigrationSession(options);
  try {
    await createDatabaseRoles(session, options.login);
  } finally {
    await session.close();
  }
}

/** Reads, and changes nothing. Throws `SchemaError` where the database is not for this version, or not yet for this login. */
export async function readSchemaStatus(
  connectionString: string,
  migrations?: readonly Migration[],
): Promise<SchemaStatus> {
  const client = await openClient(connectionString, 'bulkhead-schema');
  try {
    await client.query('SET statement_timeout = 15000');
    const connection: Pick<MigrationConnection, 'query'> = {
      query: async (sql, parameters = []) =>
        (await client.query<Record<string, unknown>>(sql, [...parameters])).rows,
    };
    const { pending, newer } = await readSchemaPlan(connection, migrations);
    await checkPolicies(connection);
    return { pending: pending.map(({ name }) => name), newer, jobQueue: await readJobQueueLevel(connection) };
  } catch (error) {
    if (!(error instanceof pg.DatabaseError && error.code === '42501')) throw error;
    throw new SchemaError(
      'pending',
      `The login of DATABASE_URL may not read the schema (${error.message}).`,
      { cause: error },
    );
  } finally {
    await client.end().catch(() => undefined);
  }
}
