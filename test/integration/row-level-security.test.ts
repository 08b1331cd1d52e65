import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Row } from '#app/database/database.ts';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { openPostgresDatabase } from '#app/database/postgres-database.ts';
import { ENTER_SCOPE } from '#app/database/transaction-scope.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';

type Query = (sql: string, parameters?: unknown[]) => Promise<Row[]>;
/** Runs one transaction as the login, which then takes whatever role the test wants. */
type AsLogin = <Result>(work: (query: Query) => Promise<Result>) => Promise<Result>;
type Opened = { open: OpenDatabase; asLogin: AsLogin; close(): Promise<void> };

async function openPglite(): Promise<Opened> {
  const open = await createTestDatabase();
  if (open.jobs.kind !== 'pglite') throw new Error('This is no PGlite.');
  const { pglite } = open.jobs;
  return {
    open,
    asLogin: (work) =>
      pglite.transaction(null, (transaction) =>
        work(async (sql, parameters) => (await transaction.query<Row>(sql, parameters)).rows),
      ),
    close: () => open.close(),
  };
}

async function openNative(): Promise<Opened> {
  const { url, drop } = await createPostgresDatabase();
  const open = await openPostgresDatabase({ connectionString: url, poolSize: 2, statementTimeoutMs: 10_000 });
  return {
    open,
    async asLogin(work) {
      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        await client.query('BEGIN');
        const result = await work(async (sql, parameters) => (await client.query<Row>(sql, parameters)).rows);
        await client.query('COMMIT');
        return result;
      } finally {
        await client.end();
      }
    },
    async close() {
      await open.database.close();
      await drop();
    },
  };
}

const ROLES = ['bulkhead_app', 'bulkhead_tenant', 'bulkhead_system'] as const;
const TENANTS = ['acme', 'globex'] as const;

/** One row of each tenant in each table, by the roles that may write them. */
async function fill({ database }: OpenDatabase): Promise<void> {
  for (const tenant of TENANTS) {
    await insertTestTenant(database, tenant);
    const context = testContext(tenant, 'alice');
    await database.asSystem(async ({ query }) => {
      await query(
        `INSERT INTO bulkhead.tenant_config_versions (tenant_id, config_version, config, author)
         SELECT tenant_id, 1, config, 'test' FROM bulkhead.tenants WHERE tenant_id = $1`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.api_keys (key_id, tenant_id, user_id, role, scopes, name, secret_hmac)
         VALUES ($1, $1, 'alice', 'member', '{}', 'test', repeat('0', 64))`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.members (tenant_id, user_id, role, status, invited_by)
         VALUES ($1, 'alice', 'member', 'active', 'test')`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.invitations (tenant_id, invitation_id, secret_hmac, role, invited_by, expires_at)
         VALUES ($1, $1, repeat('0', 64), 'member', 'test', now())`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.usage_records (request_id, tenant_id, user_id, route, latency_ms, status, outcome)
         VALUES ('req_' || $1, $1, 'alice', 'rag', 1, 200, 'ok')`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.usage_hours (tenant_id, hour, user_id, route, model, requests, refused, errors, aborted,
           prompt_tokens, completion_tokens, cost_usd)
         VALUES ($1, date_trunc('hour', now()), 'alice', 'rag', '', 1, 0, 0, 0, 0, 0, 0)`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.usage_months (tenant_id, month, requests, cost_usd) VALUES ($1, '2026-01-01', 1, 0)`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.request_log (tenant_id, request_id, user_id, route, status, outcome, latency_ms, decision)
         VALUES ($1, 'req_' || $1, 'alice', 'rag', 200, 'ok', 1, '{}')`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.idempotency_keys (fingerprint, request_hmac, caller, tenant_id) VALUES ($1, $1, $1, $1)`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.audit_chains (chain, tenant_id, seq, hash) VALUES ($1, $1, 1, repeat('0', 64))`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.audit_events (chain, seq, at, actor, tenant_id, action, outcome, details, previous_hash, hash)
         VALUES ($1, 1, date_trunc('milliseconds', now()), 'test', $1, 'test', 'done', '{}', repeat('0', 64), repeat('0', 64))`,
        [tenant],
      );
      await query(`INSERT INTO bulkhead.tenant_erasures (tenant_id, requested_by) VALUES ($1, 'test')`, [
        tenant,
      ]);
    });
    await database.asUser(context, async ({ query }) => {
      await query(
        `INSERT INTO bulkhead.documents (tenant_id, document_id, user_id, visibility, title, filename, media_type,
           byte_size, content_hash, status)
         VALUES ($1, 'doc_' || $1, 'alice', 'tenant', 't', 'f', 'text/plain', 1, 'h', 'ready')`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.conversations (tenant_id, conversation_id, user_id, title)
         VALUES ($1, 'conv_' || $1, 'alice', 't')`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.messages (tenant_id, conversation_id, message_id, user_id, ordinal, role, content, request_id)
         VALUES ($1, 'conv_' || $1, 'msg_' || $1, 'alice', 0, 'user', 'hello', 'req_' || $1)`,
        [tenant],
      );
      await query(
        `INSERT INTO bulkhead.responses (tenant_id, response_id, user_id, depth, model, input, output, response,
           byte_size, output_bytes, context_bytes)
         VALUES ($1, 'resp_' || $1, 'alice', 1, 'm', '[]', '[]', '{}', 1, 1, 1)`,
        [tenant],
      );
    });
  }
}

/** The rows that a role sees; `denied` where it may not even look. */
async function rowsSeen(
  asLogin: AsLogin,
  role: string,
  scope: [string, string],
  table: string,
  where = 'true',
) {
  try {
    return await asLogin(async (query) => {
      await query(ENTER_SCOPE, [role, ...scope, '']);
      const rows = await query(`SELECT tenant_id FROM bulkhead.${table} WHERE ${where}`);
      return rows.map((row) => row.tenant_id);
    });
  } catch (error) {
    if (error instanceof Error && /permission denied/.test(error.message)) return 'denied' as const;
    throw error;
  }
}

describe.for([
  ['PGlite', openPglite],
  ['native PostgreSQL', openNative],
] as const)('row-level security on %s', ([name, openIt]) => {
  const isMissing = name === 'native PostgreSQL' && POSTGRES_URL === '';
  if (isMissing)
    console.warn('SKIPPED: no PostgreSQL (TEST_POSTGRES_URL); npm run test:integration starts one.');

  describe.skipIf(isMissing)('with the application’s own roles', () => {
    let opened: Opened;
    let tables: string[];
    beforeAll(async () => {
      opened = await openIt();
      await fill(opened.open);
      const rows = await opened.asLogin((query) =>
        query(
          `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE n.nspname = 'bulkhead' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
             AND EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped)
           ORDER BY 1`,
        ),
      );
      tables = rows.map((row) => String(row.name));
    });
    afterAll(() => opened?.close());

    it('every table that names a tenant has it, enabled and forced', async () => {
      expect(tables.length).toBeGreaterThanOrEqual(7);
      const rows = await opened.asLogin((query) =>
        query(
          `SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class
           WHERE relnamespace = 'bulkhead'::regnamespace AND relname = ANY($1)`,
          [tables],
        ),
      );
      for (const row of rows) expect(row).toMatchObject({ relrowsecurity: true, relforcerowsecurity: true });
      expect(rows).toHaveLength(tables.length);
    });

    it('no view and no security-definer function goes around it', async () => {
      const rows = await opened.asLogin((query) =>
        query(
          `SELECT relname AS name FROM pg_class WHERE relnamespace = 'bulkhead'::regnamespace AND relkind IN ('v', 'm')
           UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'bulkhead'::regnamespace AND prosecdef
           ORDER BY name`,
        ),
      );
      // These make and remove partitions, give no row out, and are for the system alone.
      const upkeep = ['add_usage_month', 'drop_empty_usage_months'];
      expect(rows.map(({ name }) => name)).toEqual(upkeep);
      const allowed = await opened.asLogin((query) =>
        query(
          `SELECT proname, role FROM pg_proc, unnest(ARRAY['public', 'bulkhead_app', 'bulkhead_tenant']) AS role
            WHERE pronamespace = 'bulkhead'::regnamespace AND prosecdef AND has_function_privilege(role, oid, 'EXECUTE')`,
        ),
      );
      expect(allowed).toEqual([]);
    });

    it('the roles own nothing, bypass nothing, and are members of nothing', async () => {
      const roles = await opened.asLogin((query) =>
        query('SELECT * FROM pg_roles WHERE rolname = ANY($1)', [[...ROLES]]),
      );
      expect(roles).toHaveLength(ROLES.length);
      for (const role of roles) {
        expect(role).toMatchObject({
          rolsuper: false,
          rolbypassrls: false,
          rolcreaterole: false,
          rolcreatedb: false,
          rolcanlogin: false,
        });
      }
      const owned = await opened.asLogin((query) =>
        query(`SELECT relname FROM pg_class WHERE pg_get_userbyid(relowner) = ANY($1)`, [[...ROLES]]),
      );
      expect(owned).toEqual([]);
      const memberships = await opened.asLogin((query) =>
        query(`SELECT 1 FROM pg_auth_members WHERE pg_get_userbyid(member) = ANY($1)`, [[...ROLES]]),
      );
      expect(memberships).toEqual([]);
    });

    it('each table holds rows of both tenants, or these tests say nothing of it', async () => {
      for (const table of tables) {
        // The owner is forced as well: rows are seen by the roles that may see them, taken together.
        const seen = new Set<unknown>();
        for (const role of ROLES) {
          for (const tenant of TENANTS) {
            const rows = await rowsSeen(opened.asLogin, role, [tenant, 'alice'], table);
            for (const row of rows === 'denied' ? [] : rows) seen.add(row);
          }
        }
        expect(seen, `${table}: add rows of it to fill()`).toEqual(new Set(TENANTS));
      }
    });

    it('a partition has it as well, and is granted to nobody', async () => {
      const rows = await opened.asLogin((query) =>
        query(
          `SELECT relname AS name, relrowsecurity, relforcerowsecurity FROM pg_class
           WHERE relnamespace = 'bulkhead'::regnamespace AND relispartition AND relkind IN ('r', 'p')`,
        ),
      );
      // The month's, two ahead, and the one for other ids.
      expect(rows.length).toBeGreaterThanOrEqual(4);
      for (const row of rows) {
        expect(row).toMatchObject({ relrowsecurity: true, relforcerowsecurity: true });
        for (const role of ['bulkhead_app', 'bulkhead_tenant', 'bulkhead_system']) {
          expect(await rowsSeen(opened.asLogin, role, ['acme', 'alice'], String(row.name))).toBe('denied');
        }
      }
    });

    it('a query without a tenant returns 0 rows, on every table', async () => {
      for (const table of tables) {
        for (const role of ['bulkhead_app', 'bulkhead_tenant']) {
          for (const scope of [
            ['', ''],
            ['', 'alice'],
            ['nobody', 'alice'],
          ] satisfies [string, string][]) {
            const rows = await rowsSeen(opened.asLogin, role, scope, table);
            expect(rows === 'denied' ? [] : rows, `${role} on ${table} as ${scope.join('/')}`).toEqual([]);
          }
        }
      }
    });

    it('a forged tenant id in a parameter or a condition cannot escape', async () => {
      for (const table of tables) {
        for (const role of ['bulkhead_app', 'bulkhead_tenant']) {
          const conditions = ["tenant_id = 'globex'", 'true OR tenant_id IS NOT NULL', "tenant_id <> 'acme'"];
          for (const where of conditions) {
            const rows = await rowsSeen(opened.asLogin, role, ['acme', 'alice'], table, where);
            expect(rows === 'denied' ? [] : rows, `${role} on ${table} where ${where}`).not.toContain(
              'globex',
            );
          }
        }
      }
      const context = testContext('acme', 'alice');
      for (const forged of [
        'globex',
        "acme' OR '1'='1",
        "'; SET ROLE bulkhead_system; --",
        '%',
        'acme,globex',
      ]) {
        for (const table of ['documents', 'conversations', 'messages', 'responses', 'usage_records']) {
          const sql = `SELECT tenant_id FROM bulkhead.${table} WHERE tenant_id = $1`;
          expect(await opened.open.database.asUser(context, ({ query }) => query(sql, [forged]))).toEqual([]);
          expect(await opened.open.database.asTenant(context, ({ query }) => query(sql, [forged]))).toEqual(
            [],
          );
        }
      }
    });

    it('a tenant id that was never validated is compared, not run', async () => {
      for (const forged of [
        "acme' OR true --",
        'acme"; DROP TABLE bulkhead.documents',
        'ACME',
        ' acme',
        'acm%',
      ]) {
        for (const table of ['documents', 'conversations', 'messages', 'responses']) {
          expect(await rowsSeen(opened.asLogin, 'bulkhead_app', [forged, 'alice'], table)).toEqual([]);
        }
      }
    });

    it('the system role sees no content at all', async () => {
      for (const table of ['documents', 'conversations', 'messages', 'responses', 'request_log']) {
        expect(await rowsSeen(opened.asLogin, 'bulkhead_system', ['acme', 'alice'], table)).toBe('denied');
      }
    });

    it('a row cannot be written for, or moved to, another tenant or user', async () => {
      const { database } = opened.open;
      const context = testContext('acme', 'alice');
      const insert = `INSERT INTO bulkhead.conversations (tenant_id, conversation_id, user_id, title) VALUES ($1, $2, $3, 't')`;
      for (const scope of ['asUser', 'asTenant'] as const) {
        const attempt = (sql: string, parameters: unknown[]) =>
          database[scope](context, ({ query }) => query(sql, parameters));
        await expect(attempt(insert, ['globex', 'conv_x', 'alice'])).rejects.toThrow(/row-level security/);
        for (const table of ['documents', 'conversations', 'messages']) {
          await expect(
            attempt(`UPDATE bulkhead.${table} SET tenant_id = $1 WHERE tenant_id = 'acme'`, ['globex']),
            `${scope} ${table}`,
          ).rejects.toThrow(/row-level security|foreign key/);
          expect(
            await attempt(`UPDATE bulkhead.${table} SET user_id = 'x' WHERE tenant_id = $1 RETURNING 1`, [
              'globex',
            ]),
          ).toEqual([]);
          expect(
            await attempt(`DELETE FROM bulkhead.${table} WHERE tenant_id = $1 RETURNING 1`, ['globex']),
          ).toEqual([]);
        }
      }
      await expect(
        database.asUser(context, ({ query }) => query(insert, ['acme', 'conv_y', 'bob'])),
      ).rejects.toThrow(/row-level security/);
      // Responses are written by their user and never changed.
      const keep = `INSERT INTO bulkhead.responses (tenant_id, response_id, user_id, depth, model, input, output, response,
                      byte_size, output_bytes, context_bytes)
                    VALUES ($1, 'resp_x', $2, 1, 'm', '[]', '[]', '{}', 1, 1, 1)`;
      for (const owner of [
        ['globex', 'alice'],
        ['acme', 'bob'],
      ]) {
        await expect(database.asUser(context, ({ query }) => query(keep, owner))).rejects.toThrow(
          /row-level security/,
        );
      }
      await expect(database.asTenant(context, ({ query }) => query(keep, ['acme', 'bob']))).rejects.toThrow(
        /permission denied/,
      );
      for (const scope of ['asUser', 'asTenant'] as const) {
        await expect(
          database[scope](context, ({ query }) => query(`UPDATE bulkhead.responses SET user_id = 'x'`)),
        ).rejects.toThrow(/permission denied/);
        expect(
          await database[scope](context, ({ query }) =>
            query(`DELETE FROM bulkhead.responses WHERE tenant_id = 'globex' RETURNING 1`),
          ),
        ).toEqual([]);
      }
    });

    it.each(['bulkhead_app', 'bulkhead_tenant', 'bulkhead_system'])(
      '%s cannot switch it off',
      async (role) => {
        const attempts = [
          'ALTER TABLE bulkhead.documents DISABLE ROW LEVEL SECURITY',
          'ALTER TABLE bulkhead.documents NO FORCE ROW LEVEL SECURITY',
          'DROP POLICY user_sees ON bulkhead.documents',
          'CREATE POLICY mine ON bulkhead.documents USING (true)',
          `ALTER ROLE ${role} BYPASSRLS`,
          'TRUNCATE bulkhead.documents',
          `COPY bulkhead.documents TO PROGRAM 'cat'`,
          'CREATE TABLE bulkhead.mine (x int)',
          `CREATE FUNCTION bulkhead.mine() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'`,
        ];
        for (const sql of attempts) {
          const attempt = opened.asLogin(async (query) => {
            await query(ENTER_SCOPE, [role, 'acme', 'alice', '']);
            await query(sql);
          });
          await expect(attempt, sql).rejects.toThrow(/must be owner|permission denied|must be superuser/);
        }
        const withoutSecurity = opened.asLogin(async (query) => {
          await query(ENTER_SCOPE, [role, 'acme', 'alice', '']);
          await query('SET LOCAL row_security = off');
          return query('SELECT * FROM bulkhead.documents');
        });
        await expect(withoutSecurity).rejects.toThrow(/row-level security|permission denied/);
      },
    );

    it.each(['bulkhead_app', 'bulkhead_tenant'] as const)('%s sees its collections alone', async (role) => {
      const seen = (collections: string) =>
        opened.asLogin(async (query) => {
          await query(ENTER_SCOPE, [role, 'acme', 'alice', collections]);
          const rows = await query('SELECT collection FROM bulkhead.documents');
          const conversations = await query('SELECT 1 FROM bulkhead.conversations');
          const messages = await query('SELECT 1 FROM bulkhead.messages');
          const responses = await query('SELECT 1 FROM bulkhead.responses');
          return {
            collections: rows.map((row) => row.collection),
            talks: conversations.length + messages.length + responses.length,
          };
        });
      const all = await seen('');
      expect(all.collections).toContain('default');
      expect(all.talks).toBeGreaterThan(0);
      // What was answered without limits may quote anything.
      expect(await seen('{"default","legal"}')).toEqual({ collections: all.collections, talks: 0 });
      expect(await seen('{"legal"}')).toEqual({ collections: [], talks: 0 });
      expect(await seen('{}')).toEqual({ collections: [], talks: 0 });
      const moved = opened.asLogin(async (query) => {
        await query(ENTER_SCOPE, [role, 'acme', 'alice', '{"default"}']);
        await query("UPDATE bulkhead.documents SET collection = 'legal'");
      });
      await expect(moved).rejects.toThrow(/row-level security/);
    });

    it('a transaction leaves no tenant and no role behind on its connection', async () => {
      const { database } = opened.open;
      const context = testContext('acme', 'alice');
      await Promise.all(
        Array.from({ length: 4 }, () => database.asUser(context, ({ query }) => query('SELECT 1'))),
      );
      await expect(
        database.asUser(context, async ({ query }) => {
          await query('SELECT 1');
          throw new Error('rolled back');
        }),
      ).rejects.toThrow('rolled back');
      for (let i = 0; i < 4; i++) {
        const [row] = await database.asSystem(({ query }) =>
          query(
            `SELECT current_user AS role, bulkhead.current_tenant() AS tenant, bulkhead.current_user_id() AS "user"`,
          ),
        );
        expect(row).toEqual({ role: 'bulkhead_system', tenant: null, user: null });
      }
    });
  });
});
