import { afterAll, beforeAll, expect, test } from 'vitest';
import { newConversationId } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { silentLogger } from '#observability/logger.ts';
import { createConversationExpiry } from '#router/tenants/expire-conversations.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { testContext } from '#test/support/test-context.ts';

const NOW = Date.UTC(2027, 5, 30, 12);
const DAY_MS = 86_400_000;

let open: Awaited<ReturnType<typeof createTestDatabase>>;
beforeAll(async () => {
  open = await createTestDatabase();
  const tenants = createTenantStore({ database: open.database });
  for (const [tenant_id, retention_days] of [
    ['acme', 30],
    ['globex', null],
  ] as const) {
    const config = tenantConfigSchema.parse({ tenant_id, display_name: tenant_id, retention_days });
    await tenants.create(config, 'test');
  }
});
afterAll(() => open.close());

/** A conversation of one message that was last gone on with so many days ago. */
async function conversation(tenantId: string, days: number): Promise<string> {
  const context = testContext(tenantId);
  const id = newConversationId();
  const at = new Date(NOW - days * DAY_MS);
  await open.database.asUser(context, async (transaction) => {
    await transaction.query(
      `INSERT INTO bulkhead.conversations (tenant_id, conversation_id, user_id, title, created_at, updated_at)
       VALUES ($1, $2, $3, 'x', $4, $5)`,
      [tenantId, id, context.userId, new Date(NOW - 400 * DAY_MS), at],
    );
    await transaction.query(
      `INSERT INTO bulkhead.messages (tenant_id, conversation_id, message_id, user_id, ordinal, role, content, request_id)
       VALUES ($1, $2, $2, $3, 0, 'user', 'x', 'r')`,
      [tenantId, id, context.userId],
    );
  });
  return id;
}

async function idsIn(table: 'conversations' | 'messages'): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const tenantId of ['acme', 'globex']) {
    const rows = await open.database.asTenant(testContext(tenantId), (transaction) =>
      transaction.query(`SELECT conversation_id FROM bulkhead.${table} WHERE tenant_id = $1`, [tenantId]),
    );
    found.push(...rows.map(({ conversation_id }) => conversation_id));
  }
  return found.sort();
}

test('conversations go when nobody has gone on with them for as long as their tenant keeps them, messages and all', async () => {
  await conversation('acme', 31);
  await conversation('acme', 399);
  const kept = [await conversation('acme', 29), await conversation('globex', 399)].sort();
  const expiry = createConversationExpiry({
    database: open.database,
    tenants: createTenantStore({ database: open.database }),
    logger: silentLogger,
    now: () => NOW,
  });
  expect(await expiry.run()).toBe(2);
  expect(await idsIn('conversations')).toEqual(kept);
  expect(await idsIn('messages')).toEqual(kept);
  expect(await expiry.run()).toBe(0);
  await expiry.close();
});
