import type { PGliteOptions } from '@electric-sql/pglite';
import type { Row } from '#app/database/database.ts';

export type PgliteWorkerData = Readonly<{
  /** Where the data lives; absent: in memory. */
  directory?: string;
  /** A dump to start from (`dumpDataDir`). */
  loadDataDir?: NonNullable<PGliteOptions['loadDataDir']>;
}>;

/** Parameters of `ENTER_SCOPE`. */
export type ScopeParameters = readonly [role: string, tenantId: string, userId: string, collections: string];

/** What the thread is asked. A `transaction` is a number of the asker's; without one, a statement is its own transaction. */
export type PgliteRequest =
  | Readonly<{ type: 'begin'; transaction: number; scope: ScopeParameters | null }>
  | Readonly<{ type: 'end'; transaction: number; commit: boolean }>
  | Readonly<{
      type: 'query';
      transaction: number | null;
      text: string;
      parameters: readonly unknown[];
    }>
  | Readonly<{ type: 'exec'; transaction: number | null; text: string }>
  | Readonly<{ type: 'listen'; subscription: number; channel: string }>
  | Readonly<{ type: 'unlisten'; subscription: number }>
  | Readonly<{ type: 'copy'; to: string }>
  | Readonly<{ type: 'close' }>;

/** `ready` or `unusable` comes once, before anything else; then one `answered` or `failed` for each request, by its id. */
export type PgliteReply =
  | Readonly<{ type: 'ready' }>
  | Readonly<{ type: 'unusable'; error: PgliteFailure }>
  | Readonly<{ type: 'answered'; id: number; results: readonly PgliteRows[] }>
  | Readonly<{ type: 'failed'; id: number; error: PgliteFailure }>
  | Readonly<{ type: 'notified'; subscription: number; payload: string }>;

/** What one statement found. */
export type PgliteRows = Readonly<{ rows: Row[] }>;

/** An error on its way out of the thread, which would lose its fields: PostgreSQL's own are kept, the statement's values are not. */
export type PgliteFailure = Readonly<{ message: string; fields: Readonly<Record<string, string>> }>;
