import type { FairSemaphoreStats } from '#app/fair/fair-semaphore.ts';
import type { TenantId } from '#app/ids.ts';
import type { TenantContext } from '#app/tenant-context.ts';

export type Row = Record<string, unknown>;

/** Runs SQL inside one transaction. Values travel as parameters ($1, $2, …), never inside the text. */
export interface Transaction {
  query<Result extends Row = Row>(text: string, parameters?: readonly unknown[]): Promise<Result[]>;
}

/** Whose turn at the database it takes: the tenant on whose behalf it is, or a kind of work of the platform's own. */
export type DatabaseLane =
  | TenantId
  | 'platform:credentials'
  | 'platform:strangers'
  | 'platform:policies'
  | 'platform:usage'
  | 'platform:budgets'
  | 'platform:requests'
  | 'platform:denials'
  | 'platform:upkeep'
  | 'platform:other';

export type Subscription = { close(): Promise<void> };

/**
 * PostgreSQL, as a server or embedded. There is no query outside a transaction, and no transaction without a
 * role: row-level security is forced on every tenant table, so the role and the tenant set here decide what
 * exists. A transaction commits when `work` resolves, and rolls back when it throws. One must not begin within another.
 */
export interface Database {
  /** As one user of one tenant (role `bulkhead_app`): their rows, and those shared with the whole tenant. */
  asUser<Result>(
    context: TenantContext,
    work: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result>;
  /** As one tenant, every user of it (role `bulkhead_tenant`): tenant admins, retention, ingestion. */
  asTenant<Result>(
    context: TenantContext,
    work: (transaction: Transaction) => Promise<Result>,
  ): Promise<Result>;
  /**
   * Across tenants (role `bulkhead_system`), for the tables that exist before a tenant is known: tenants, their
   * configs, API keys, the usage ledger. It is granted no table that holds tenants' content. Lanes take turns; default:
   * `platform:other`.
   */
  asSystem<Result>(work: (transaction: Transaction) => Promise<Result>, lane?: DatabaseLane): Promise<Result>;
  /**
   * Tells of what is notified on the channel, by whichever process, until it is closed. Nothing is certain to arrive: a
   * connection can be broken, which `onError` is told. Resolves before the first connection stands.
   */
  listen(
    channel: string,
    listener: { onMessage(payload: string): void; onError(error: Error): void },
  ): Promise<Subscription>;
  /** Transactions under way and waiting. Absent where nothing bounds them. */
  readonly places?: FairSemaphoreStats;
  /** Throws when the database cannot answer within `timeoutMs`. */
  checkReady(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}
