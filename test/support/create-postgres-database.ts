import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** The login that `npm run test:integration` made on a native server; empty where there is none. */
export const POSTGRES_URL = process.env.TEST_POSTGRES_URL ?? '';

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
  return { url: url.href, drop: () => onServer(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}
