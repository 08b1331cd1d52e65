import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { MigrationConnection } from '#app/database/migrate.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';

export type MigrationSessionOptions = Readonly<{
  connectionString: string;
  /** How long one try waits for a lock, milliseconds: all that comes after it waits behind it. */
  lockTimeoutMs: number;
  /** How long a statement is tried again for its lock, milliseconds. */
  waitMs: number;
  /** One plain line each. */
  onProgress: (line: string) => void;
  signal?: AbortSignal;
}>;

export type MigrationSession = MigrationConnection & {
  /** What the lines call the work under way. */
  name: string;
  close(): Promise<void>;
};

const CONNECT_TIMEOUT_MS = 5_000;
const LOOK_EVERY_MS = 1_000;
const REPEAT_LINE_MS = 30_000;
const LOCK_NOT_AVAILABLE = '55P03';
const DEADLOCK_DETECTED = '40P01';
/** Any constant: it names the lock under which one process at a time migrates. */
export const MIGRATION_LOCK = 4_210_815;

/** A connection of its own, with an `error` listener: a broken connection fails its statement, not the process. */
export async function openClient(connectionString: string, applicationName: string): Promise<pg.Client> {
  const client = withErrorListener(
    new pg.Client({
      connectionString,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      keepAlive: true,
      application_name: applicationName,
    }),
  );
  await client.connect();
  return client;
}

/**
 * The connection that migrates: outside the pool, without a limit on the time of a statement, and alone (a session's
 * advisory lock). A lock on a table is waited for shortly and asked for again, so that requests are not held up behind
 * it; while it waits, a line says for whom. The connection string must reach the server itself or a pooler that keeps
 * sessions.
 */
export async function openMigrationSession(options: MigrationSessionOptions): Promise<MigrationSession> {
  const { connectionString, lockTimeoutMs, waitMs, onProgress, signal } = options;
  // Within each try.
  const lookEveryMs = Math.min(LOOK_EVERY_MS, lockTimeoutMs / 2);
  signal?.throwIfAborted();
  const client = await openClient(connectionString, 'bulkhead-migrate');
  const watcher = await openClient(connectionString, 'bulkhead-migrate-watch').catch(
    async (error: unknown) => {
      await client.end().catch(() => undefined);
      throw error;
    },
  );
  const close = async (): Promise<void> => {
    await Promise.allSettled([client.end(), watcher.end()]);
  };
  const [own] = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows;
  const pid = own?.pid ?? 0;
  const cancel = () => void watcher.query('SELECT pg_cancel_backend($1)', [pid]).catch(() => undefined);
  signal?.addEventListener('abort', cancel, { once: true });

  let lastLine = '';
  let lastLineAt = 0;
  /** Says it once, and again from time to time. */
  function say(line: string): void {
    if (line === lastLine && performance.now() - lastLineAt < REPEAT_LINE_MS) return;
    lastLine = line;
    lastLineAt = performance.now();
    onProgress(line);
  }

  async function holders(sql: string, parameters: readonly unknown[]): Promise<string> {
    const { rows } = await watcher.query<Holder>(
      `SELECT a.pid, a.application_name, a.usename FROM (${sql}) AS h (pid)
         JOIN pg_stat_activity a ON a.pid = h.pid ORDER BY a.pid LIMIT 3`,
      [...parameters],
    );
    return rows.map(describeHolder).join(', and ');
  }

  async function look(): Promise<string> {
    return holders('SELECT unnest(pg_blocking_pids($1))', [pid]).catch(() => '');
  }

  /** Runs one try; while it is blocked, says by whom. */
  async function watched<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = new AbortController();
    const watching = (async () => {
      for (;;) {
        await sleep(lookEveryMs, undefined, { signal: done.signal, ref: false });
        const holder = await look();
        if (holder !== '') say(`${session.name} waits for a lock held by ${holder}.`);
      }
    })().catch(() => undefined);
    try {
      return await work();
    } finally {
      done.abort();
      await watching;
    }
  }

  /** Tries again what could not get its lock. Nothing of a failed try is left. */
  async function retried(work: () => Promise<void>): Promise<void> {
    const deadline = performance.now() + waitMs;
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      try {
        await watched(work);
        return;
      } catch (error) {
        signal?.throwIfAborted();
        const code = error instanceof pg.DatabaseError ? error.code : undefined;
        if (code !== LOCK_NOT_AVAILABLE && code !== DEADLOCK_DETECTED) throw error;
        if (performance.now() >= deadline) {
          throw new Error(
            `${session.name} could not get its lock within ${Math.round(waitMs / 1_000)} s. Nothing of it was applied; what came before it was. ${lastLine === '' ? '' : `${lastLine} `}End what holds the lock, or try again later.`,
            { cause: error },
          );
        }
        // Those who waited behind the try go first.
        const pause = Math.min(lockTimeoutMs * attempt, 5_000) * (0.5 + Math.random() / 2);
        await sleep(pause, undefined, signal === undefined ? {} : { signal });
      }
    }
  }

  async function lock(): Promise<void> {
    const deadline = performance.now() + waitMs;
    for (;;) {
      signal?.throwIfAborted();
      const { rows } = await client.query<{ locked: boolean }>('SELECT pg_try_advisory_lock($1) AS locked', [
        MIGRATION_LOCK,
      ]);
      if (rows[0]?.locked === true) return;
      const holder = await holders(
        `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
            AND classid = 0 AND objid = $1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
        [MIGRATION_LOCK],
      ).catch(() => '');
      const line = `Another process migrates this database${holder === '' ? '' : `: ${holder}`}.`;
      if (performance.now() >= deadline) {
        throw new Error(`${line} It was waited for ${Math.round(waitMs / 1_000)} s; try again later.`);
      }
      say(line);
      // Polled: a statement that waits would hold a snapshot, for which an index that is built concurrently waits.
      await sleep(LOOK_EVERY_MS, undefined, signal === undefined ? {} : { signal });
    }
  }

  const run = async (sql: string): Promise<void> => {
    await client.query(sql);
  };
  const query = async (sql: string, parameters: readonly unknown[] = []) =>
    (await client.query<Record<string, unknown>>(sql, [...parameters])).rows;
  const rollback = (error: unknown): Promise<never> =>
    client
      .query('ROLLBACK')
      .catch(() => undefined)
      .then(() => {
        throw error;
      });

  const session: MigrationSession = {
    name: 'The migration',
    // Outside a transaction: a lock that blocks nobody's reads and writes, so that it may be waited for.
    run: (sql) =>
      retried(async () => {
        await run('SET lock_timeout = 0');
        await run(sql).catch(rollback);
      }),
    query,
    transaction: (work) =>
      retried(async () => {
        await run(`SET lock_timeout = ${lockTimeoutMs}`);
        await run('BEGIN');
        await work({ run, query })
          .then(() => run('COMMIT'))
          .catch(rollback);
      }),
    async close() {
      signal?.removeEventListener('abort', cancel);
      await close();
    },
  };
  try {
    await run('SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0');
    await lock();
    return session;
  } catch (error) {
    await session.close();
    throw error;
  }
}

type Holder = { pid: number; application_name: string; usename: string | null };

const describeHolder = ({ pid, application_name, usename }: Holder): string =>
  `process ${pid} (application ${application_name === '' ? 'unnamed' : application_name}, user ${usename ?? 'unknown'})`;
