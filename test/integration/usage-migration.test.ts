import pg from 'pg';
import { expect, it } from 'vitest';
import { readMigrations } from '#app/database/migrate.ts';
import { openPostgresDatabase } from '#app/database/postgres-database.ts';
import { createUsageStore } from '#router/ledger/usage-store.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { testContext } from '#test/support/test-context.ts';

const canRun = POSTGRES_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL; npm run test:integration starts one.');
const ROWS = 2_500;

it.skipIf(!canRun)(
  'a ledger from before its partitions keeps every row, as a login that is no superuser',
  async () => {
    const created = await createPostgresDatabase();
    try {
      const client = new pg.Client({ connectionString: created.url });
      await client.connect();
      try {
        await client.query(`CREATE SCHEMA IF NOT EXISTS bulkhead;
        CREATE TABLE bulkhead.schema_migrations (name text PRIMARY KEY, checksum text NOT NULL,
          applied_at timestamptz NOT NULL DEFAULT now())`);
        for (const { name, sql, checksum } of await readMigrations()) {
          if (name >= '0006') break;
          await client.query(sql);
          await client.query('INSERT INTO bulkhead.schema_migrations (name, checksum) VALUES ($1, $2)', [
            name,
            checksum,
          ]);
        }
        await client.query('SET ROLE bulkhead_system');
        await client.query(
          `INSERT INTO bulkhead.tenants (tenant_id, config) VALUES ('acme', '{"tenant_id": "acme"}')`,
        );
        // Over 100 days until now, with ids of their times, as routers make them.
        await client.query(
          `INSERT INTO bulkhead.usage_records (request_id, tenant_id, user_id, route, prompt_tokens, completion_tokens,
                cost_usd, latency_ms, status, outcome, created_at)
         SELECT 'req_' || (
                  SELECT string_agg(substr('0123456789abcdefghjkmnpqrstvwxyz',
                                           ((floor(extract(epoch FROM at) * 1000)::bigint / (32 ^ digit)::bigint) % 32)::integer + 1, 1),
                                    '' ORDER BY digit DESC)
                    FROM generate_series(0, 9) AS digit) || lpad(n::text, 16, '0'),
                'acme', 'alice', 'rag', 1, 2, 0.000000001, 1, 200, 'ok', at
           FROM (SELECT n, now() - n * interval '100 days' / ${ROWS} AS at FROM generate_series(1, ${ROWS}) AS n) AS times`,
        );
      } finally {
        await client.end();
      }

      const { database } = await openPostgresDatabase({
        connectionString: created.url,
        poolSize: 2,
        statementTimeoutMs: 30_000,
      });
      try {
        const store = createUsageStore({ database });
        const ALL = { from: null, to: null, route: null, user: null };
        const { totals, data } = await store.ofUser(testContext('acme', 'alice'), ALL, { limit: 100 });
        expect(totals).toMatchObject({
          requests: ROWS,
          token_usage: { prompt_tokens: ROWS, completion_tokens: 2 * ROWS },
          cost_usd_estimate: ROWS / 1e9,
        });
        expect(data).toHaveLength(100);
        const [spread] = await database.asSystem(({ query }) =>
          query(`SELECT count(*)::integer AS rows, count(DISTINCT tableoid)::integer AS months,
                      count(*) FILTER (WHERE tableoid = 'bulkhead.usage_records_other'::regclass)::integer AS other
                 FROM bulkhead.usage_records`),
        );
        expect(spread).toMatchObject({ rows: ROWS, other: 0 });
        expect(Number(spread?.months)).toBeGreaterThanOrEqual(3);
        // What makes and removes months works for the system's role, which owns nothing.
        const [made] = await database.asSystem(({ query }) =>
          query(`SELECT bulkhead.add_usage_month(now() + interval '6 months') AS made`),
        );
        expect(made).toEqual({ made: true });
        await database.asTenant(testContext('acme', 'alice'), ({ query }) =>
          query('DELETE FROM bulkhead.usage_records WHERE tenant_id = $1', ['acme']),
        );
        const [dropped] = await database.asSystem(({ query }) =>
          query('SELECT bulkhead.drop_empty_usage_months(now()) AS dropped'),
        );
        expect(Number(dropped?.dropped)).toBeGreaterThanOrEqual(2);
      } finally {
        await database.close();
      }
    } finally {
      await created.drop();
    }
  },
);
