import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

/** The login that `npm run test:integration` made on a native server; empty where there is none. */
export const POSTGRES_URL = process.env.TEST_POSTGRES_URL ?? '';

const INSUFFICIENT_PRIVILEGE = '42501';
const MAX_DROPS = 60;

/** An empty database of its own for one test file, on the native server. */
export async function createPostgresDatabase(
  server: string = POSTGRES_URL,
): Promise<{ url: string; drop(): Promise<void> }> {
  const name = `test_${randomBytes(8).toString('hex')}`;
  const onServer = async (sql: string) => {
    const client = new pg.Client({ connectionString: server });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  await onServer(`CREATE DATABASE ${name}`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  const drop = async () => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
      } catch (error) {
        // An autovacuum worker is in it, which this login may not end; it is done soon.
        const isBusy = error instanceof pg.DatabaseError && error.code === INSUFFICIENT_PRIVILEGE;
        if (!isBusy || attempt === MAX_DROPS) throw error;
        await delay(500);
      }
    }
  };
  return { url: url.href, drop };
}
