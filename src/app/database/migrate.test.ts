import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeEach, describe, expect, it } from 'vitest';
import { JOB_QUEUE_LEVEL } from '#app/database/job-queue-schema.ts';
import { type MigrationConnection, migrate, readSchemaPlan } from '#app/database/migrate.ts';
import { parseMigration, readMigrations } from '#app/database/read-migrations.ts';
import { SchemaError } from '#app/database/schema-plan.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';

const released = await readMigrations();
const expand = (level: string, sql: string) =>
  parseMigration(`${level}-test.sql`, `-- bulkhead: expand\n${sql}`);

/** The beginning of each SHA-256: databases out there have applied exactly these. */
const FROZEN = {
  '0001-tenants-documents-conversations-usage.sql': 'fcb65e97c00c5d83',
  '0004-audit.sql': 'c4f3bfb90165b881',
  '0005-tenant-erasure.sql': '9342a36f246354a7',
  '0006-usage-by-month.sql': 'a078607cb68792b0',
  '0008-key-limits.sql': 'b7d1b2c78160437c',
  '0009-members.sql': 'a3acaac4b0a06d01',
  '0011-request-log.sql': 'edc93e43de1ff96e',
  '0012-idempotency-keys.sql': '74ab798ac26cd44d',
  '0013-collections.sql': '254ec48db6ed94ea',
  '0015-estimated-prompt-tokens.sql': '0cce1a6f9671d717',
  '0016-responses.sql': 'df227ad3dfa3cc1a',
  '0017-storage-limits.sql': 'c52ce3c0580fa52e',
  '0018-conversations-by-age.sql': '12e5ecff3953a67a',
};

describe('migrations', () => {
  it('that were released never change', () => {
    const frozen = released.filter(({ level }) => level <= 18);
    expect(Object.fromEntries(frozen.map(({ name, checksum }) => [name, checksum.slice(0, 16)]))).toEqual(
      FROZEN,
    );
  });

  it('declare what they are compatible with', () => {
    expect(expand('0091', 'SELECT 1;')).toMatchObject({ level: 91, minimumLevel: 18, isTransactional: true });
    const contract = parseMigration('0093-drop.sql', '-- bulkhead: contract 0092, no transaction\nSELECT 1;');
    expect(contract).toMatchObject({ level: 93, minimumLevel: 92, isTransactional: false });
    for (const head of ['', '-- a comment', '-- bulkhead: contract', '-- bulkhead: expanding']) {
      expect(() => parseMigration('0091-test.sql', `${head}\nSELECT 1;`)).toThrow('does not begin with');
    }
    expect(() => parseMigration('0091-test.sql', '-- bulkhead: contract 0092\n')).toThrow('comes after it');
    expect(() => parseMigration('91-test.sql', '')).toThrow('no name of a migration');
  });

  it('know the level of the job queue that is installed', () => {
    const file = fileURLToPath(new URL('../../../node_modules/pg-boss/package.json', import.meta.url));
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ pgboss: { schema: JOB_QUEUE_LEVEL } });
  });
});

describe('migrate', () => {
  let connection: MigrationConnection & { transaction: NonNullable<MigrationConnection['transaction']> };
  beforeEach(async () => {
    const { jobs, close } = await createTestDatabase();
    if (jobs.kind !== 'pglite') throw new Error('the test database is PGlite');
    const session = jobs.pglite;
    const queriesOf = (of: Pick<typeof session, 'exec' | 'query'>) => ({
      run: async (sql: string) => {
        await of.exec(sql);
      },
      query: async (sql: string, parameters?: readonly unknown[]) => (await of.query(sql, parameters)).rows,
    });
    connection = {
      ...queriesOf(session),
      transaction: (work) => session.transaction(null, (transaction) => work(queriesOf(transaction))),
    };
    return close;
  });
  const namesIn = async (table: string) =>
    (await connection.query(`SELECT name FROM bulkhead.${table} WHERE name > '0091' ORDER BY name`)).map(
      ({ name }) => name,
    );

  it('lets the version before work on what a later one expanded, and not on what it contracted', async () => {
    const added = expand('0091', 'CREATE TABLE bulkhead.added (id text);');
    await migrate(connection, { migrations: [...released, added] });
    expect(await readSchemaPlan(connection, released)).toEqual({ pending: [], newer: ['0091-test.sql'] });
    await migrate(connection, { migrations: released });
    // What versions before this table of steps read, and refuse to start on.
    expect(await namesIn('schema_migrations')).toEqual([]);
    expect(await namesIn('schema_changes')).toEqual(['0091-test.sql']);

    const dropped = parseMigration('0092-drop.sql', '-- bulkhead: contract 0091\nDROP TABLE bulkhead.added;');
    await migrate(connection, { migrations: [...released, added, dropped] });
    expect(await namesIn('schema_migrations')).toEqual(['0092-drop.sql']);
    // A version that knows 0091 is not hurt by it.
    expect((await readSchemaPlan(connection, [...released, added])).newer).toEqual(['0092-drop.sql']);
    const refused = migrate(connection, { migrations: released });
    await expect(refused).rejects.toThrow(SchemaError);
    await expect(refused).rejects.toThrow(
      new RegExp(
        `^The database has migration 0092-drop.sql, which needs level 91 or later, and this version is at level ${released.at(-1)?.level}\\. Run a later version\\.$`,
      ),
    );
  });

  it('refuses a step of before the declarations that it does not know, and one that has changed', async () => {
    await connection.query(
      `INSERT INTO bulkhead.schema_migrations (name, checksum) VALUES ('0018-b.sql', 'x')`,
    );
    await expect(migrate(connection)).rejects.toMatchObject({ kind: 'incompatible' });
    await connection.query(
      `UPDATE bulkhead.schema_migrations SET name = '0091-a.sql' WHERE name = '0018-b.sql'`,
    );
    const changed = { ...expand('0091', 'SELECT 1;'), name: '0091-a.sql' };
    await expect(migrate(connection, { migrations: [...released, changed] })).rejects.toThrow(
      'has changed since',
    );
  });

  it('goes on where a run was cut off: each step is a transaction', async () => {
    const good = expand('0091', 'CREATE TABLE bulkhead.good (id text);');
    const bad = expand('0092', 'CREATE TABLE bulkhead.half (id text); SELECT 1 / 0;');
    await expect(migrate(connection, { migrations: [...released, good, bad] })).rejects.toThrow(
      'division by zero',
    );
    expect(await namesIn('schema_changes')).toEqual(['0091-test.sql']);
    const [half] = await connection.query(`SELECT to_regclass('bulkhead.half') AS found`);
    expect(half).toEqual({ found: null });
    const mended = expand('0092', 'CREATE TABLE bulkhead.half (id text);');
    await migrate(connection, { migrations: [...released, good, mended] });
    expect(await namesIn('schema_changes')).toEqual(['0091-test.sql', '0092-test.sql']);
  });

  it('runs statements that no transaction may hold, and again after they failed', async () => {
    await connection.run(
      `CREATE TABLE bulkhead.many (id text); INSERT INTO bulkhead.many VALUES ('a'), ('a');`,
    );
    const index = parseMigration(
      '0091-index.sql',
      `-- bulkhead: expand, no transaction
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS many_by_id ON bulkhead.many (id);
-- And another; statements are sent one by one.
CREATE INDEX CONCURRENTLY IF NOT EXISTS many_again
  ON bulkhead.many (id, id);`,
    );
    const migrations = [...released, index];
    await expect(migrate(connection, { migrations })).rejects.toThrow('could not create unique index');
    const [left] = await connection.query(
      `SELECT indisvalid FROM pg_index WHERE indexrelid = 'bulkhead.many_by_id'::regclass`,
    );
    expect(left).toEqual({ indisvalid: false });
    await connection.query('DELETE FROM bulkhead.many');
    await migrate(connection, { migrations });
    const indexes = await connection.query(
      `SELECT indisvalid FROM pg_index WHERE indrelid = 'bulkhead.many'::regclass`,
    );
    expect(indexes).toEqual([{ indisvalid: true }, { indisvalid: true }]);
    expect(await namesIn('schema_changes')).toEqual(['0091-index.sql']);
    const { run, query } = connection;
    await connection.query(`DELETE FROM bulkhead.schema_changes`);
    await expect(migrate({ run, query }, { migrations })).rejects.toThrow('cannot run inside a transaction');
  });
});
