import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { silentLogger } from '#observability/logger.ts';
import { costOf } from '#router/ledger/price.ts';
import { createUsageLedger } from '#router/ledger/usage-ledger.ts';
import { createUsageStore } from '#router/ledger/usage-store.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';
import { usageRow } from '#test/support/usage-row.ts';

let open: Awaited<ReturnType<typeof createTestDatabase>>;
let root: string;
const alice = testContext('acme', 'alice');
const ALL = { from: null, to: null, route: null, user: null };

beforeAll(async () => {
  open = await createTestDatabase();
  for (const tenant of ['acme', 'globex']) await insertTestTenant(open.database, tenant);
  root = await mkdtemp(join(tmpdir(), 'bulkhead-usage-'));
});
afterAll(async () => {
  await open.close();
  await rm(root, { recursive: true, force: true });
});

test('rows of many requests add up, by user, tenant and route', async () => {
  const ledger = await createUsageLedger({
    database: open.database,
    logger: silentLogger,
    root,
    maxBytes: 10_000_000,
  });
  const store = createUsageStore({ database: open.database, flush: () => ledger.flush(60_000) });
  const bob = testContext('acme', 'bob');
  const eve = testContext('globex', 'alice');
  const rows = [
    ...Array.from({ length: 40 }, () => usageRow(alice)),
    ...Array.from({ length: 3 }, () =>
      usageRow(alice, { route: 'chat', outcome: 'refused', refusal_reason: 'x' }),
    ),
    ...Array.from({ length: 7 }, () => usageRow(bob)),
    ...Array.from({ length: 2 }, () => usageRow(eve)),
  ];
  const [first] = rows;
  // The same request twice is one row.
  await Promise.all([...rows, ...(first === undefined ? [] : [first])].map((row) => ledger.record(row)));

  const own = await store.ofUser(alice, ALL, { limit: 20 });
  expect(own.totals).toMatchObject({
    requests: 43,
    refused: 3,
    token_usage: { prompt_tokens: 430, completion_tokens: 215, total_tokens: 645 },
  });
  expect(own.totals.cost_usd_estimate).toBeCloseTo(43 * 0.000000123, 12);
  expect(own.by_route.map(({ route, requests }) => [route, requests])).toEqual([
    ['chat', 3],
    ['rag', 40],
  ]);
  expect(own.data).toHaveLength(20);
  expect(own.has_more).toBe(true);
  const next = await store.ofUser(alice, ALL, { limit: 100, after: own.last_id ?? '' });
  expect(next.data).toHaveLength(23);
  expect(own.data.every(({ user_id, tenant_id }) => user_id === 'alice' && tenant_id === 'acme')).toBe(true);

  expect((await store.ofTenant(alice.tenantId, ALL, { limit: 1 })).totals.requests).toBe(50);
  const page = await store.byTenant(null, ALL, { limit: 1 });
  expect([page.data.map(({ tenant_id }) => tenant_id), page.has_more]).toEqual([['acme'], true]);
  const rest = await store.byTenant(null, ALL, { limit: 5, after: page.last_id ?? '' });
  expect([rest.data.map(({ tenant_id }) => tenant_id), rest.has_more]).toEqual([['globex'], false]);
  expect(
    (await store.byTenant(null, ALL, { limit: 20 })).data.map(({ tenant_id, requests }) => [
      tenant_id,
      requests,
    ]),
  ).toEqual([
    ['acme', 50],
    ['globex', 2],
  ]);
  expect(
    (await store.byTenant(eve.tenantId, { ...ALL, from: new Date(Date.now() + 60_000) }, { limit: 20 })).data,
  ).toEqual([]);
  await ledger.close(60_000);
});

test('a cost is tokens times price', () => {
  const price = { version: null, promptNanosPerMillion: 150_000_000, completionNanosPerMillion: 600_000_000 };
  expect(costOf(price, { prompt_tokens: 1_000_000, completion_tokens: 500_000 })).toBe(0.45);
  expect(costOf(price, { prompt_tokens: 1, completion_tokens: 1 })).toBe(0.00000075);
});
