import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { lockDataDirectory } from '#app/data-directory/data-directory-lock.ts';
import { JOB_QUEUE_LEVEL } from '#app/database/job-queue-schema.ts';
import {
  createRoles,
  describePending,
  isCurrent,
  migratePostgres,
  readSchemaStatus,
  type SchemaStatus,
} from '#app/database/migrate-postgres.ts';
import { openDatabase } from '#app/database/open-database.ts';
import { readPgliteStatus } from '#app/database/pglite-database.ts';
import { loginOf } from '#app/database/prepare-schema.ts';
import { readMigrations } from '#app/database/read-migrations.ts';
import { SchemaError } from '#app/database/schema-plan.ts';
import type { Settings } from '#app/settings/settings.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { readSettings } from '#cli/read-settings.ts';

export type MigrateOptions = { check?: boolean; roles?: boolean; json?: boolean };

/** Brings the schema up to date, or says what is pending. Throws a CliError with the exit code of what it found. */
export async function runMigrate(options: MigrateOptions, io: CliIo): Promise<void> {
  const live = await readSettings(io);
  const { settings } = live;
  const stopping = new AbortController();
  const stopListening = io.onInterrupt(() => stopping.abort());
  try {
    await run(io, settings, options, stopping.signal);
  } catch (error) {
    if (stopping.signal.aborted) {
      throw new CliError('Stopped. What was applied is kept; run it again to go on.', {
        exitCode: EXIT.interrupted,
        cause: error,
      });
    }
    if (error instanceof SchemaError)
      throw new CliError(error.message, { exitCode: EXIT[error.kind], cause: error });
    throw failureOf(settings, error);
  } finally {
    stopListening();
    live.close();
  }
}

async function run(
  io: CliIo,
  settings: Settings,
  options: MigrateOptions,
  signal: AbortSignal,
): Promise<void> {
  const target = settings.DATABASE_URL === undefined ? embedded(settings) : onPostgres(io, settings, signal);
  if (options.roles === true) {
    if (target.createRoles === null) {
      throw new CliError('--roles is for PostgreSQL: set DATABASE_URL.', { exitCode: EXIT.usage });
    }
    await target.createRoles();
    return writeLine(io.stderr, 'The roles are there.');
  }
  if (options.check !== true) await target.migrate();
  const status = await target.read();
  if (options.json === true) {
    writeJson(io.stdout, {
      up_to_date: isCurrent(status),
      pending: describePending(status),
      newer: status.newer,
      job_queue: status.jobQueue,
    });
  } else {
    for (const line of describePending(status)) writeLine(io.stdout, `pending: ${line}`);
    for (const name of status.newer) writeLine(io.stdout, `newer, and compatible: ${name}`);
  }
  if (!isCurrent(status)) {
    throw new CliError('The database lacks something: run `bulkhead migrate`.', { exitCode: EXIT.pending });
  }
  if (options.json !== true) writeLine(io.stdout, 'The database is up to date.');
}

type Target = Readonly<{
  migrate(): Promise<void>;
  read(): Promise<SchemaStatus>;
  createRoles: (() => Promise<void>) | null;
}>;

function onPostgres(io: CliIo, settings: Settings, signal: AbortSignal): Target {
  const { DATABASE_URL: url = '', MIGRATION_DATABASE_URL: connectionString = url } = settings;
  const options = {
    connectionString,
    login: connectionString === url ? null : loginOf(url),
    lockTimeoutMs: settings.MIGRATION_LOCK_TIMEOUT_MS,
    waitMs: settings.MIGRATION_WAIT_MS,
    onProgress: (line: string) => writeLine(io.stderr, line),
    signal,
  };
  return {
    migrate: () => migratePostgres(options),
    read: () => readSchemaStatus(connectionString),
    createRoles: () => createRoles(options),
  };
}

/** Its job queue is brought up to date by the server that uses it, which is alone. */
function embedded(settings: Settings): Target {
  const directory = join(settings.BULKHEAD_DATA_DIR, 'database');
  const locked = async <Result>(work: () => Promise<Result>): Promise<Result> => {
    const lock = await lockDataDirectory(settings.BULKHEAD_DATA_DIR);
    try {
      return await work();
    } finally {
      await lock.release();
    }
  };
  const readSchema = async () => {
    if (existsSync(directory)) return locked(() => readPgliteStatus({ directory }));
    return { pending: (await readMigrations()).map(({ name }) => name), newer: [] };
  };
  return {
    migrate: () =>
      locked(async () => {
        const { database } = await openDatabase(settings);
        await database.close();
      }),
    read: async () => ({ ...(await readSchema()), jobQueue: JOB_QUEUE_LEVEL }),
    createRoles: null,
  };
}

function failureOf(settings: Settings, error: unknown): unknown {
  if (error instanceof CliError || settings.DATABASE_URL === undefined) return error;
  const why = error instanceof Error && error.message !== '' ? error.message : String(error);
  return new CliError(`The database was not migrated: ${why}`, { cause: error });
}
