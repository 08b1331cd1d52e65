import type pg from 'pg';
import type { Database } from '#app/database/database.ts';
import type { PgliteThread } from '#app/database/pglite-thread.ts';

/** How the job queue reaches the database that the rest uses. It keeps its own schema, as the login's user. */
export type JobsConnection =
  | { kind: 'pglite'; pglite: PgliteThread }
  /** Each connection has the login as of when it is made. */
  | { kind: 'postgres'; Client: new () => pg.Client };

/** An open, migrated database. `database.close()` closes it all. */
export type OpenDatabase = { database: Database; jobs: JobsConnection };
