import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Migration, readMigrations } from '#app/database/migrate.ts';
import { migratePostgres, readSchemaStatus } from '#app/database/migrate-postgres.ts';
import { openPostgresDatabase } from '#app/database/postgres-database.ts';
import { parseMigration } from '#app/database/read-migrations.ts';
import { runCli } from '#cli/run-cli.ts';
import { silentLogger } from '#observability/logger.ts';
import { createIngestQueue } from '#rag/ingest/ingest-queue.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';
import { testContext } from '#test/support/test-context.ts';
import { createTestIo } from '#test/support/test-io.ts';

const canRun = POSTGRES_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL; npm run test:integration starts one.');

const released = canRun ? await readMigrations() : [];
const step = (name: string, sql: string): Migration =>
  parseMigration(`${name}.sql`, `-- bulkhead: expand\n${sql}`);

describe.skipIf(!canRun)('migrations on PostgreSQL', () => {
  let created: Awaited<ReturnType<typeof createPostgresDatabase>>;
  const clients: pg.Client[] = [];
  const lines: string[] = [];
  const migrateWith = (
    steps: readonly Migration[],
    options: { waitMs?: number; lockTimeoutMs?: number } = {},
  ) =>
    migratePostgres({
      connectionString: created.url,
      login: null,
      lockTimeoutMs: 300,
      waitMs: 60_000,
      onProgress: (line) => lines.push(line),
      ...options,
      migrations: [...released, ...steps],
    });
  async function connect(applicationName: string, url = created.url): Promise<pg.Client> {
    const client = new pg.Client({ connectionString: url, application_name: applicationName });
    // Databases are dropped with their connections.
    client.on('error', () => undefined);
    await client.connect();
    clients.push(client);
    return client;
  }
  beforeAll(async () => {
    created = await createPostgresDatabase();
    await migrateWith([]);
  });
  afterAll(async () => {
    await Promise.allSettled(clients.map((client) => client.end()));
    await created.drop();
  });

  const widen = step('0091-widen', 'ALTER TABLE bulkhead.tenants ADD COLUMN extra text;');

  it('wait for a lock in short tries, say who holds it, and let requests pass meanwhile', async () => {
    const dump = await connect('pg_dump');
    await dump.query('BEGIN; LOCK TABLE bulkhead.tenants IN ACCESS SHARE MODE');
    const migrating = migrateWith([widen]);
    const reader = await connect('a router');
    await expect
      .poll(() => lines.join('\n'), { timeout: 30_000 })
      .toMatch(
        /^0091-widen.sql waits for a lock held by process \d+ \(application pg_dump, user bulkhead\)\.$/m,
      );
    // Behind the migration's own request for the lock, and served all the same.
    for (let i = 0; i < 20; i++) await reader.query('SELECT count(*) FROM bulkhead.tenants');
    await dump.query('COMMIT');
    await migrating;
    expect(lines.join('\n')).toMatch(/0091-widen.sql: applied \(\d+\.\d s\)/);
    expect(await readSchemaStatus(created.url, released)).toMatchObject({
      pending: [],
      newer: ['0091-widen.sql'],
    });
  });

  it('give up with a plain line when the lock does not come, and go on later', async () => {
    const steps = [
      widen,
      step('0092-before', 'CREATE TABLE bulkhead.before (id text);'),
      step('0093-blocked', 'ALTER TABLE bulkhead.api_keys ADD COLUMN extra text;'),
    ];
    const holder = await connect('a long report');
    await holder.query('BEGIN; SELECT count(*) FROM bulkhead.api_keys');
    await expect(migrateWith(steps, { waitMs: 3_000 })).rejects.toThrow(
      /^0093-blocked.sql could not get its lock within 3 s\. Nothing of it was applied; what came before it was\. 0093-blocked.sql waits for a lock held by process \d+ \(application a long report, user bulkhead\)\. End what/,
    );
    const status = await readSchemaStatus(created.url, [...released, ...steps]);
    expect(status.pending).toEqual(['0093-blocked.sql']);
    await holder.query('ROLLBACK');
    await migrateWith(steps);
    expect((await readSchemaStatus(created.url, [...released, ...steps])).pending).toEqual([]);
  });

  it('have no limit on the time of a statement, whatever the server’s default is', async () => {
    const name = new URL(created.url).pathname.slice(1);
    const admin = await connect('admin');
    await admin.query(`ALTER DATABASE ${name} SET statement_timeout = '200ms'`);
    const slow = step('0094-slow', 'SELECT pg_sleep(1);');
    const widened = [widen, step('0092-before', 'CREATE TABLE bulkhead.before (id text);')];
    const blocked = step('0093-blocked', 'ALTER TABLE bulkhead.api_keys ADD COLUMN extra text;');
    await migrateWith([...widened, blocked, slow]);
    await admin.query(`ALTER DATABASE ${name} RESET statement_timeout`);
    expect((await readSchemaStatus(created.url, released)).newer).toContain('0094-slow.sql');
  });

  it('run once, however many processes start at a time; an index is built while they wait', async () => {
    const fresh = await createPostgresDatabase();
    try {
      const index = parseMigration(
        '0091-index.sql',
        '-- bulkhead: expand, no transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS tenants_by_time ON bulkhead.tenants (created_at);',
      );
      const slow = step('0092-slow', 'SELECT pg_sleep(1.5);');
      const said: string[] = [];
      await Promise.all(
        Array.from({ length: 4 }, () =>
          migratePostgres({
            connectionString: fresh.url,
            login: null,
            lockTimeoutMs: 2_000,
            waitMs: 60_000,
            onProgress: (line) => said.push(line),
            migrations: [...released, index, slow],
          }),
        ),
      );
      expect(said.filter((line) => line.startsWith('0092-slow.sql: applied'))).toHaveLength(1);
      expect(said.join('\n')).toMatch(
        /Another process migrates this database: process \d+ \(application bulkhead-migrate/,
      );
    } finally {
      await fresh.drop();
    }
  });

  describe('as a job of the schema’s owner', () => {
    const login = `app_${randomBytes(6).toString('hex')}`;
    let fresh: Awaited<ReturnType<typeof createPostgresDatabase>>;
    let appUrl: string;
    let env: Record<string, string>;
    const cli = async (args: string[], environment = env) => {
      const io = createTestIo({ env: environment });
      const code = await runCli(args, io);
      return { code, out: io.out(), err: io.err() };
    };
    beforeAll(async () => {
      fresh = await createPostgresDatabase();
      const admin = await connect('admin', fresh.url);
      await admin.query(`CREATE ROLE ${login} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE PASSWORD 'app'`);
      const url = new URL(fresh.url);
      url.username = login;
      url.password = 'app';
      appUrl = url.href;
      env = { DATABASE_URL: appUrl, MIGRATION_DATABASE_URL: fresh.url };
    });
    afterAll(async () => {
      const client = await connect('admin');
      await fresh.drop();
      await client.query(`DROP ROLE IF EXISTS ${login}`);
    });

    it('says what is pending, applies it, and says that nothing is', async () => {
      const before = await cli(['migrate', '--check']);
      expect(before).toMatchObject({
        code: 3,
        err: 'The database lacks something: run `bulkhead migrate`.\n',
      });
      expect(before.out).toContain('pending: 0018-conversations-by-age.sql\n');
      expect(before.out).toContain('pending: job queue 46 (the database has none)\n');
      const open = (mode: 'wait' | 'off') =>
        openPostgresDatabase({
          connectionString: appUrl,
          poolSize: 2,
          statementTimeoutMs: 15_000,
          schema: { mode, lockTimeoutMs: 1_000, waitMs: 60_000, onProgress: (line) => lines.push(line) },
        });
      await expect(open('off')).rejects.toThrow(
        /^The database lacks 0001-.*Run `bulkhead migrate`, and start again\.$/,
      );
      const waiting = open('wait');
      await expect.poll(() => lines.at(-1)).toContain('Waiting for `bulkhead migrate`.');
      const applied = await cli(['migrate']);
      expect(applied).toMatchObject({ code: 0, out: 'The database is up to date.\n' });
      expect(applied.err).toContain('0018-conversations-by-age.sql: applied');
      const { database } = await waiting;
      await database.close();
      expect(await cli(['migrate', '--check'])).toMatchObject({
        code: 0,
        out: 'The database is up to date.\n',
      });
      const json = await cli(['migrate', '--check', '--json']);
      expect(JSON.parse(json.out)).toEqual({ up_to_date: true, pending: [], newer: [], job_queue: 46 });
    });

    it('lets a login that owns nothing serve: rows by its roles, the job queue, months of the ledger', async () => {
      const { database, jobs } = await openPostgresDatabase({
        connectionString: appUrl,
        poolSize: 2,
        statementTimeoutMs: 15_000,
        schema: { mode: 'off', lockTimeoutMs: 1_000, waitMs: 1_000 },
      });
      try {
        await database.asSystem(({ query }) =>
          query(`INSERT INTO bulkhead.tenants (tenant_id, config) VALUES ('acme', '{"tenant_id": "acme"}')`),
        );
        await database.asSystem(({ query }) =>
          query(`SELECT bulkhead.add_usage_month(now() + interval '5 months')`),
        );
        const context = testContext('acme', 'alice');
        await database.asUser(context, ({ query }) =>
          query(
            `INSERT INTO bulkhead.documents (tenant_id, document_id, user_id, visibility, title, filename, media_type, byte_size, content_hash, status)
             VALUES ('acme', 'doc_00000000000000000000000001', 'alice', 'tenant', 't', 'f', 'text/plain', 1, 'x', 'pending')`,
          ),
        );
        const processed: string[] = [];
        const queue = createIngestQueue({
          jobs,
          database,
          workers: 1,
          logger: silentLogger,
          pollSeconds: 0.5,
          process: async (_context, { documentId }) => {
            processed.push(documentId);
            await database.asTenant(context, ({ query }) =>
              query(`UPDATE bulkhead.documents SET status = 'ready'`),
            );
          },
        });
        await queue.start();
        await queue.wake(context);
        await expect.poll(() => processed, { timeout: 20_000 }).toEqual(['doc_00000000000000000000000001']);
        await queue.dropTenant(context);
        await queue.close();
      } finally {
        await database.close();
      }
      // The login itself may change nothing of the schema.
      const client = await connect('the login', appUrl);
      await expect(client.query('CREATE TABLE bulkhead.mine (id text)')).rejects.toThrow('permission denied');
      await expect(client.query('DROP TABLE pgboss.job')).rejects.toThrow('must be owner');
      await client.end();
    });

    it('says in one line, with a code of its own, that the database is for a later version', async () => {
      const contract = parseMigration('0091-contract.sql', '-- bulkhead: contract 0091\nSELECT 1;');
      const options = { connectionString: fresh.url, login, lockTimeoutMs: 1_000, waitMs: 10_000 };
      await migratePostgres({ ...options, onProgress: () => undefined, migrations: [...released, contract] });
      const line = `The database has migration 0091-contract.sql, which needs level 91 or later, and this version is at level ${released.at(-1)?.level}. Run a later version.\n`;
      expect(await cli(['migrate', '--check'])).toEqual({ code: 4, out: '', err: line });
      expect(await cli(['migrate'])).toEqual({ code: 4, out: '', err: line });
      const nowhere = { DATABASE_URL: 'postgresql://a:b@127.0.0.1:1/none' };
      const { code, err } = await cli(['migrate', '--check'], nowhere);
      expect({ code, err }).toEqual({
        code: 1,
        err: 'The database was not migrated: connect ECONNREFUSED 127.0.0.1:1\n',
      });
    });

    it('stops between tries at Ctrl-C, and names what is kept', async () => {
      const io = createTestIo({ env });
      const blocker = await connect('another job', fresh.url);
      await blocker.query('SELECT pg_advisory_lock(4210815)');
      const running = runCli(['migrate'], io);
      await expect
        .poll(() => io.err(), { timeout: 20_000 })
        .toContain('(application another job, user bulkhead)');
      await delay(100);
      io.interrupt();
      expect(await running).toBe(130);
      expect(io.err()).toContain('Stopped. What was applied is kept; run it again to go on.');
      await blocker.query('SELECT pg_advisory_unlock(4210815)');
    });
  });
});
