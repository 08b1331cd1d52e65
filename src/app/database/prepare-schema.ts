import { setTimeout as sleep } from 'node:timers/promises';
import { codeOf } from '#app/data-directory/code-of.ts';
import {
  describePending,
  isCurrent,
  migratePostgres,
  readSchemaStatus,
} from '#app/database/migrate-postgres.ts';
import type { Migration } from '#app/database/read-migrations.ts';
import { SchemaError } from '#app/database/schema-plan.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';

/** Who brings the schema to what a process needs before it starts. */
export type SchemaOptions = Readonly<{
  /** `auto`: the process itself. `wait`: a job, for which it waits. `off`: a job, which has run. */
  mode: 'auto' | 'wait' | 'off';
  /** Of the schema's owner. Default: the process's own. */
  migrationUrl?: string;
  lockTimeoutMs: number;
  /** How long a lock, another process that migrates, or the job is waited for, milliseconds. */
  waitMs: number;
  onProgress?: (line: string) => void;
  migrations?: readonly Migration[];
}>;

export const DEFAULT_SCHEMA_OPTIONS: SchemaOptions = { mode: 'auto', lockTimeoutMs: 2_000, waitMs: 600_000 };

const LOOK_EVERY_MS = 2_000;
const REPEAT_LINE_MS = 30_000;

/**
 * Resolves when the schema is one that this version works on: its own, or a later one that expanded it. Throws
 * `SchemaError` where it is not and will not be.
 */
export async function prepareSchema(connectionString: string, options: SchemaOptions): Promise<void> {
  const { mode, migrationUrl, lockTimeoutMs, waitMs, migrations } = options;
  const onProgress = options.onProgress ?? (() => undefined);
  const deadline = performance.now() + waitMs;
  let saidAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const { isReady, lacks, newer } = await look(connectionString, migrations);
    if (isReady) {
      if (newer.length > 0) onProgress(`The database is newer and compatible: it has ${newer.join(', ')}.`);
      return;
    }
    if (mode === 'auto') {
      await migratePostgres({
        connectionString: migrationUrl ?? connectionString,
        login: migrationUrl === undefined ? null : loginOf(connectionString),
        lockTimeoutMs,
        waitMs,
        onProgress,
        ...(migrations && { migrations }),
      }).catch(throwUnreachable);
      return;
    }
    if (mode === 'off' || performance.now() >= deadline) {
      throw new SchemaError('pending', `${lacks} Run \`bulkhead migrate\`, and start again.`);
    }
    if (performance.now() - saidAt >= REPEAT_LINE_MS) {
      saidAt = performance.now();
      onProgress(`${lacks} Waiting for \`bulkhead migrate\`.`);
    }
    await sleep(LOOK_EVERY_MS);
  }
}

/** The user of a connection string; null where it names none. */
export function loginOf(connectionString: string): string | null {
  const { username } = new URL(connectionString);
  return username === '' ? null : decodeURIComponent(username);
}

type Found = Readonly<{ isReady: boolean; lacks: string; newer: readonly string[] }>;

async function look(connectionString: string, migrations: readonly Migration[] | undefined): Promise<Found> {
  try {
    const status = await readSchemaStatus(connectionString, migrations);
    const lacks = `The database lacks ${describePending(status).join(', ')}.`;
    return { isReady: isCurrent(status), lacks, newer: status.newer };
  } catch (error) {
    if (!(error instanceof SchemaError && error.kind === 'pending')) return throwUnreachable(error);
    return { isReady: false, lacks: error.message, newer: [] };
  }
}

/** Errors of the network have a code of the system, such as ECONNREFUSED; those of PostgreSQL one of five characters. */
function throwUnreachable(error: unknown): never {
  const code = codeOf(error);
  if (typeof code !== 'string' || !/^E[A-Z_]+$/.test(code)) throw error;
  throw new BulkheadError('service_unavailable', 'The database cannot be reached.', { cause: error });
}
