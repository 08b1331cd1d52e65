import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OpenDatabase } from '#app/database/jobs-connection.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';

const CONTENT_TABLES = ['documents', 'conversations', 'messages', 'usage_records'];

let open: OpenDatabase;

beforeAll(async () => {
  open = await createTestDatabase();
  for (const tenantId of ['acme', 'globex']) {
    await insertTestTenant(open.database, tenantId);
    for (const userId of ['alice', 'bob']) {
      await open.database.asUser(testContext(tenantId, userId), (transaction) =>
        transaction.query(
          `INSERT INTO bulkhead.conversations (tenant_id, conversation_id, user_id, title) VALUES ($1, $2, $3, $4)`,
          [tenantId, `conv_${userId}`, userId, `${tenantId} ${userId}`],
        ),
      );
    }
  }
});

afterAll(() => open.database.close());

const titles = (rows: Record<string, unknown>[]) => rows.map((row) => row.title).sort();

describe('a transaction sees only what its scope allows', () => {
  it('as a user: their own rows of their own tenant', async () => {
    const rows = await open.database.asUser(testContext('acme', 'alice'), (transaction) =>
      transaction.query('SELECT title FROM bulkhead.conversations'),
    );
    expect(titles(rows)).toEqual(['acme alice']);
  });

  it('as a tenant: every user of it, and no other tenant', async () => {
    const rows = await open.database.asTenant(testContext('acme'), (transaction) =>
      transaction.query('SELECT title FROM bulkhead.conversations'),
    );
    expect(titles(rows)).toEqual(['acme alice', 'acme bob']);
  });

  it('a tenant id forged in a parameter finds nothing', async () => {
    const rows = await open.database.asUser(testContext('acme', 'alice'), (transaction) =>
      transaction.query('SELECT title FROM bulkhead.conversations WHERE tenant_id = $1 OR true', ['globex']),
    );
    expect(titles(rows)).toEqual(['acme alice']);
  });

  it('a row of another tenant cannot be written or moved', async () => {
    const context = testContext('acme', 'alice');
    await expect(
      open.database.asUser(context, (transaction) =>
        transaction.query(
          `INSERT INTO bulkhead.conversations (tenant_id, conversation_id, user_id, title) VALUES ($1, 'x', 'alice', 'x')`,
          ['globex'],
        ),
      ),
    ).rejects.toThrow(/row-level security/);
    await expect(
      open.database.asUser(context, (transaction) =>
        transaction.query(`UPDATE bulkhead.conversations SET tenant_id = 'globex'`),
      ),
    ).rejects.toThrow(/row-level security/);
  });

  it.each(CONTENT_TABLES)('the application role without a tenant finds 0 rows in %s', async (table) => {
    const rows = await open.database.asUser(testContext('acme', 'alice'), async (transaction) => {
      await transaction.query(`SELECT set_config('bulkhead.tenant_id', '', true)`);
      return transaction.query(`SELECT * FROM bulkhead.${table}`);
    });
    expect(rows).toEqual([]);
  });

  it.each(['documents', 'conversations', 'messages'])('the system role may not read %s', async (table) => {
    await expect(
      open.database.asSystem((transaction) => transaction.query(`SELECT * FROM bulkhead.${table}`)),
    ).rejects.toThrow(/permission denied/);
  });

  it('nothing of a scope is left after its transaction, whether it ended well or not', async () => {
    await open.database
      .asUser(testContext('acme'), (transaction) => transaction.query('SELECT no_such_column'))
      .catch(() => undefined);
    const [row] = await open.database.asSystem((transaction) =>
      transaction.query(
        `SELECT current_user AS role, current_setting('bulkhead.tenant_id', true) AS tenant_id`,
      ),
    );
    expect(row).toEqual({ role: 'bulkhead_system', tenant_id: '' });
  });

  it('a failed transaction keeps nothing', async () => {
    await expect(
      open.database.asUser(testContext('acme', 'alice'), async (transaction) => {
        await transaction.query(`UPDATE bulkhead.conversations SET title = 'changed'`);
        throw new Error('stop');
      }),
    ).rejects.toThrow('stop');
    const rows = await open.database.asUser(testContext('acme', 'alice'), (transaction) =>
      transaction.query('SELECT title FROM bulkhead.conversations'),
    );
    expect(titles(rows)).toEqual(['acme alice']);
  });
});
