import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openPostgresDatabase } from '#app/database/postgres-database.ts';
import { createPostgresDatabase, POSTGRES_URL } from '#test/support/create-postgres-database.ts';

const canRun = POSTGRES_URL !== '';
if (!canRun) console.warn('SKIPPED: no PostgreSQL (TEST_POSTGRES_URL); npm run test:integration starts one.');

describe.skipIf(!canRun)('a listener on native PostgreSQL', () => {
  let created: Awaited<ReturnType<typeof createPostgresDatabase>>;
  let login: pg.Client;
  beforeAll(async () => {
    created = await createPostgresDatabase();
    login = new pg.Client({ connectionString: created.url });
    await login.connect();
  });
  afterAll(async () => {
    await login?.end();
    await created?.drop();
  });

  it('hears what commits, nothing that is rolled back, and again after its connection was cut', async () => {
    const { database } = await openPostgresDatabase({
      connectionString: created.url,
      poolSize: 2,
      statementTimeoutMs: 10_000,
    });
    const heard: string[] = [];
    const errors: Error[] = [];
    const subscription = await database.listen('test_channel', {
      onMessage: (payload) => heard.push(payload),
      onError: (error) => errors.push(error),
    });
    const notify = (payload: string) => login.query("SELECT pg_notify('test_channel', $1)", [payload]);
    /** Until it is heard: before the listener's connection stands, nothing is. */
    const hears = async (payload: string) => {
      await expect
        .poll(
          async () => {
            await notify(payload);
            return heard.includes(payload);
          },
          { timeout: 20_000, interval: 100 },
        )
        .toBe(true);
    };
    try {
      await hears('first');
      await login.query('BEGIN');
      await notify('rolled back');
      await login.query('ROLLBACK');
      for (let cut = 0; cut < 3; cut++) {
        await login.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'bulkhead-listener'`,
        );
        await hears(`after cut ${cut}`);
      }
      expect(heard).not.toContain('rolled back');
      expect(errors.length).toBeGreaterThanOrEqual(3);
    } finally {
      await subscription.close();
    }
    await expect
      .poll(async () => {
        const { rows } = await login.query(
          `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'bulkhead-listener'`,
        );
        return rows.length;
      })
      .toBe(0);
    await database.close();
  });

  it('of a server that is not there neither fails nor hangs', async () => {
    const { database } = await openPostgresDatabase({
      connectionString: created.url,
      poolSize: 2,
      statementTimeoutMs: 10_000,
    });
    const { listenToPostgres } = await import('#app/database/postgres-listener.ts');
    const errors: Error[] = [];
    const subscription = listenToPostgres({
      connectionString: 'postgres://nobody@127.0.0.1:1/none',
      channel: 'x',
      onMessage: () => {},
      onError: (error) => errors.push(error),
    });
    await expect.poll(() => errors.length, { timeout: 20_000 }).toBeGreaterThanOrEqual(2);
    await subscription.close();
    const before = errors.length;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(errors.length).toBe(before);
    await database.close();
  });
});
