import pg from 'pg';
import type { Database, Row, Transaction } from '#app/database/database.ts';
import { databaseFault, databaseUnavailable, isConnectionLost } from '#app/database/database-fault.ts';
import {
  clientsWithLogin,
  connectWithLogin,
  type DatabaseLogin,
  fixedLogin,
} from '#app/database/database-login.ts';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { listenToPostgres } from '#app/database/postgres-listener.ts';
import { DEFAULT_SCHEMA_OPTIONS, prepareSchema, type SchemaOptions } from '#app/database/prepare-schema.ts';
import { shareFairly } from '#app/database/share-fairly.ts';
import { ENTER_SCOPE, scopeParameters, type TransactionScope } from '#app/database/transaction-scope.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';

export type PostgresDatabaseOptions = {
  connectionString: string;
  /** Default: the one of `connectionString`, which never changes. */
  login?: DatabaseLogin;
  poolSize: number;
  statementTimeoutMs: number;
  /** Told of connections that break while they are idle; the pool replaces them. */
  onIdleError?: (error: Error) => void;
  /** Default: the process migrates by itself, as its own login. */
  schema?: SchemaOptions;
};

const CONNECT_TIMEOUT_MS = 5_000;
/** Beyond those of transactions, so that a readiness check does not wait behind them. */
const PROBE_CONNECTIONS = 1;
const INT8_OID = 20;

/** int8 as a number, as PGlite gives it: counters here stay far below 2^53. */
const types: pg.CustomTypesConfig = {
  getTypeParser: (oid, format) =>
    oid === INT8_OID && format !== 'binary'
      ? (value: string) => Number(value)
      : pg.types.getTypeParser(oid, format),
};

/** A PostgreSQL server, through a pool, when its schema is one that this version works on. */
export async function openPostgresDatabase(options: PostgresDatabaseOptions): Promise<OpenDatabase> {
  const { login = fixedLogin(options.connectionString) } = options;
  const { schema = DEFAULT_SCHEMA_OPTIONS } = options;
  await connectWithLogin(() => prepareSchema(login.current(), schema), login);
  const { Client, isOutdated } = clientsWithLogin(login);
  const poolOptions: pg.PoolConfig = {
    Client,
    max: options.poolSize + PROBE_CONNECTIONS,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    statement_timeout: options.statementTimeoutMs,
    // The server may be gone without a word: no query waits for ever.
    query_timeout: options.statementTimeoutMs + CONNECT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: options.statementTimeoutMs * 2,
    application_name: 'bulkhead',
    types,
  };
  const pool = withErrorListener(new pg.Pool(poolOptions), (error) => options.onIdleError?.(error));
  // The pool takes its own listener off a client that it hands out. The borrower's statement fails with the same error.
  pool.on('connect', (client) => void withErrorListener(client));

  async function inTransaction<Result>(work: (client: pg.PoolClient) => Promise<Result>): Promise<Result> {
    const client = await connect(pool, login);
    let broken: Error | undefined;
    try {
      await client.query('BEGIN');
      const result = await work(client);
      await client.query('COMMIT');
      return result;
    } catch (error) {
      broken = await rollBack(client, error);
      throw databaseFault(error) ?? error;
    } finally {
      // A connection that could not roll back is closed: it must not carry a role or tenant to another borrower.
      client.release(broken ?? isOutdated(client));
    }
  }

  const inScope = <Result>(scope: TransactionScope, work: (transaction: Transaction) => Promise<Result>) =>
    inTransaction(async (client) => {
      await client.query(ENTER_SCOPE, scopeParameters(scope));
      return work({
        query: async <Found extends Row>(text: string, parameters: readonly unknown[] = []) =>
          (await client.query<Found>(text, [...parameters])).rows,
      });
    });

  let closing: Promise<void> | undefined;
  const database: Database = {
    asUser: (context, work) => inScope({ role: 'bulkhead_app', context }, work),
    asTenant: (context, work) => inScope({ role: 'bulkhead_tenant', context }, work),
    asSystem: (work) => inScope({ role: 'bulkhead_system' }, work),
    listen: async (channel, listener) =>
      listenToPostgres({ connectionString: login.current, channel, ...listener }),
    async checkReady(timeoutMs) {
      const client = await connect(pool, login);
      let timer: NodeJS.Timeout | undefined;
      let late: Error | undefined;
      const timeout = new Promise<never>((_, reject) => {
        timer = setTimeout(() => {
          late = new BulkheadError(
            'service_unavailable',
            `The database did not answer within ${timeoutMs} ms.`,
          );
          reject(late);
        }, timeoutMs);
      });
      const answer = client.query('SELECT 1');
      // A late failure of the query is not ours any more: the connection is thrown away.
      answer.catch(() => undefined);
      try {
        await Promise.race([answer, timeout]);
      } finally {
        clearTimeout(timer);
        client.release(late);
      }
    },
    close: () => {
      closing ??= pool.end();
      return closing;
    },
  };
  return {
    database: shareFairly(database, { capacity: options.poolSize, maxWaitMs: options.statementTimeoutMs }),
    jobs: { kind: 'postgres', Client },
  };
}

/** Resolves with an error where the connection must not be used again. */
async function rollBack(client: pg.PoolClient, reason: unknown): Promise<Error | undefined> {
  // A ROLLBACK would wait behind a statement that the server never answers, for another `query_timeout`.
  if (reason instanceof Error && isConnectionLost(reason)) return reason;
  try {
    await client.query('ROLLBACK');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function connect(pool: pg.Pool, login: DatabaseLogin): Promise<pg.PoolClient> {
  try {
    return await connectWithLogin(() => pool.connect(), login);
  } catch (error) {
    throw databaseFault(error) ?? databaseUnavailable(error);
  }
}
