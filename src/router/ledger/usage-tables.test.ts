import { afterAll, beforeAll, expect, test } from 'vitest';
import { firstIdAt } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import type { UsageRecord } from '#app/schemas/usage.ts';
import { silentLogger } from '#observability/logger.ts';
import { insertUsage, storableUsage } from '#router/ledger/insert-usage.ts';
import { createUsageStore } from '#router/ledger/usage-store.ts';
import { createUsageUpkeep } from '#router/ledger/usage-upkeep.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { testContext } from '#test/support/test-context.ts';
import { usageRow } from '#test/support/usage-row.ts';

let open: Awaited<ReturnType<typeof createTestDatabase>>;
const alice = testContext('acme', 'alice');
const bob = testContext('acme', 'bob');
const ALL = { from: null, to: null, route: null, user: null };

beforeAll(async () => {
  open = await createTestDatabase();
  const tenants = createTenantStore({ database: open.database });
  for (const tenant_id of ['acme', 'globex']) {
    await tenants.create(
      tenantConfigSchema.parse({ tenant_id, display_name: tenant_id, retention_days: 30 }),
      'test',
    );
  }
});
afterAll(() => open.close());

const insert = (rows: readonly UsageRecord[]) =>
  insertUsage(open.database, rows.map(storableUsage), (row, error) => {
    throw new Error(`refused ${row.request_id}`, { cause: error });
  });
let count = 0;
/** A row of a request that was made and counted at a time. */
function rowAt(at: Date, context = alice, fields: Partial<UsageRecord> = {}): UsageRecord {
  const request_id = `${firstIdAt('req', at.getTime()).slice(0, 14)}${String(++count).padStart(16, '0')}`;
  return usageRow(context, { request_id, created_at: at.toISOString(), ...fields });
}
const query = (sql: string) => open.database.asSystem((transaction) => transaction.query(sql));

test('sums of hours are those of the rows, for every range', async () => {
  const start = Date.UTC(2026, 10, 20, 22);
  // 40 hours in uneven steps, over the end of a day.
  const rows = Array.from({ length: 400 }, (_, step) =>
    rowAt(new Date(start + step * 361_000), step % 3 === 0 ? bob : alice, {
      route: step % 2 === 0 ? 'rag' : 'direct',
      model: step % 5 === 0 ? null : 'm',
      outcome: step % 7 === 0 ? 'aborted' : 'ok',
      cost_usd_estimate: step / 1_000_000_000,
    }),
  );
  await insert(rows);
  // A second time changes nothing.
  await insert(rows);
  const store = createUsageStore({ database: open.database });
  const times = [
    null,
    start,
    start + 1,
    start + 3_600_000,
    start + 5_000_000,
    start + 40_000_000,
    start + 150_000_000,
  ];
  for (const from of times) {
    for (const to of times) {
      for (const route of [null, 'rag']) {
        const filter = {
          ...ALL,
          route,
          from: from === null ? null : new Date(from),
          to: to === null ? null : new Date(to),
        };
        const expected = rows.filter(
          (row) =>
            row.user_id === 'alice' &&
            (route === null || row.route === route) &&
            (from === null || Date.parse(row.created_at) >= from) &&
            (to === null || Date.parse(row.created_at) < to),
        );
        const { totals } = await store.ofUser(alice, filter, { limit: 1 });
        expect([from, to, route, totals.requests, totals.aborted, totals.token_usage.total_tokens]).toEqual([
          from,
          to,
          route,
          expected.length,
          expected.filter(({ outcome }) => outcome === 'aborted').length,
          expected.length * 15,
        ]);
        const nanos = expected.reduce((sum, row) => sum + Math.round(row.cost_usd_estimate * 1e9), 0);
        expect(totals.cost_usd_estimate).toBe(nanos / 1e9);
      }
    }
  }
});

test('rows are in their month’s partition, those that came before it as well', async () => {
  const early = rowAt(new Date(Date.UTC(2027, 5, 30, 23, 59)));
  const late = rowAt(new Date(Date.UTC(2027, 6, 1)));
  await insert([early, late]);
  const whereIs = async ({ request_id }: UsageRecord) =>
    (
      await query(
        `SELECT tableoid::regclass::text AS name FROM bulkhead.usage_records WHERE request_id = '${request_id}'`,
      )
    ).map(({ name }) => String(name));
  expect(await whereIs(early)).toEqual(['bulkhead.usage_records_other']);
  const upkeep = createUsageUpkeep({
    database: open.database,
    tenants: {
      list: async () => ({ object: 'list', data: [], first_id: null, last_id: null, has_more: false }),
    },
    logger: silentLogger,
    now: () => Date.UTC(2027, 4, 31, 12),
  });
  await upkeep.run();
  expect(await whereIs(early)).toEqual(['bulkhead.usage_records_2027_06']);
  expect(await whereIs(late)).toEqual(['bulkhead.usage_records_2027_07']);
  // The same id stays one row, wherever it is.
  await insert([early, late]);
  expect(await whereIs(early)).toHaveLength(1);
  // What a partition holds is seen through the ledger alone.
  await expect(query('SELECT 1 FROM bulkhead.usage_records_2027_06')).rejects.toThrow(/permission denied/);
});

test('what a tenant does not keep goes, rows and sums alike; what was spent stays known', async () => {
  const now = Date.UTC(2028, 0, 31, 12, 30);
  const kept = rowAt(new Date(now - 29 * 86_400_000));
  await insert([
    rowAt(new Date(now - 31 * 86_400_000)),
    kept,
    rowAt(new Date(now), testContext('globex', 'eve')),
  ]);
  const upkeep = createUsageUpkeep({
    database: open.database,
    tenants: createTenantStore({ database: open.database }),
    logger: silentLogger,
    now: () => now,
  });
  expect(await upkeep.run()).toBe(403);
  const store = createUsageStore({ database: open.database });
  const report = await store.ofTenant(alice.tenantId, ALL, { limit: 10 });
  expect([report.data.map(({ request_id }) => request_id), report.totals.requests]).toEqual([
    [kept.request_id],
    1,
  ]);
  expect(await query("SELECT 1 FROM bulkhead.usage_months WHERE tenant_id = 'acme'")).toHaveLength(5);
  const partitions = await query(
    `SELECT c.relname AS name FROM pg_class c WHERE c.relispartition AND c.relkind = 'r'`,
  );
  const names = partitions.map(({ name }) => String(name));
  expect(names).toContain('usage_records_2028_01');
  expect(names).not.toContain('usage_records_2027_06');
  await upkeep.close();
});
