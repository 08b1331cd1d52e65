import { afterAll, beforeAll, expect, test } from 'vitest';
import { tenantIdSchema } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { silentLogger } from '#observability/logger.ts';
import { createPolicyCache } from '#router/tenants/policy-cache.ts';
import { createTenantStore, type TenantStore } from '#router/tenants/tenant-store.ts';
import { createTestDatabase } from '../../../test/support/create-test-database.ts';

let open: Awaited<ReturnType<typeof createTestDatabase>>;
let store: TenantStore;
const configOf = (tenant_id: string) => tenantConfigSchema.parse({ tenant_id, display_name: tenant_id });

beforeAll(async () => {
  open = await createTestDatabase();
  store = createTenantStore({ database: open.database });
});
afterAll(() => open.close());

test('a tenant is created once, and never overwritten by a second creation', async () => {
  const created = await store.create(configOf('acme'), 'test');
  expect(created).toMatchObject({
    tenant_id: 'acme',
    version: 1,
    config: { rate_limits: { requests_per_minute: 120 } },
  });
  await expect(store.create(configOf('acme'), 'test')).rejects.toMatchObject({
    code: 'conflict',
    param: 'tenant_id',
  });
});

test('a patch merges objects, replaces lists, counts versions and keeps the history', async () => {
  const { tenant_id } = await store.create(configOf('patched'), 'test');
  const change = { tenantId: tenant_id, author: 'operator:x', expectedVersion: null };
  await store.patch({ ...change, patch: { rate_limits: { requests_per_minute: 5 }, blocked_tools: ['a'] } });
  const changed = await store.patch({ ...change, patch: { rag: { top_k: 3 }, blocked_tools: ['b'] } });
  expect(changed).toMatchObject({
    version: 3,
    config: {
      rate_limits: { requests_per_minute: 5, requests_per_hour: 3_600 },
      rag: { top_k: 3, diversity: 0.3 },
      blocked_tools: ['b'],
    },
  });
  const history = await open.database.asSystem((transaction) =>
    transaction.query(
      'SELECT config_version, author FROM bulkhead.tenant_config_versions WHERE tenant_id = $1 ORDER BY 1',
      [tenant_id],
    ),
  );
  expect(history).toEqual([
    { config_version: 1, author: 'test' },
    { config_version: 2, author: 'operator:x' },
    { config_version: 3, author: 'operator:x' },
  ]);
});

test('a patch of an older version, a bad pattern or a foreign tenant changes nothing', async () => {
  const { tenant_id } = await store.create(configOf('guarded'), 'test');
  const change = { tenantId: tenant_id, author: 'test', expectedVersion: 1 };
  await store.patch({ ...change, patch: { weight: 2 } });
  await expect(store.patch({ ...change, patch: { weight: 3 } })).rejects.toMatchObject({
    code: 'precondition_failed',
  });
  await expect(
    store.patch({
      ...change,
      expectedVersion: 2,
      patch: {
        sensitive_patterns: [
          { name: 'x', pattern: '(', action: 'refuse', case_sensitive: false, applies_to: 'input' },
        ],
      },
    }),
  ).rejects.toMatchObject({ code: 'invalid_request', param: 'sensitive_patterns.0.pattern' });
  await expect(
    store.patch({ ...change, tenantId: tenantIdSchema.parse('nobody'), patch: {} }),
  ).rejects.toMatchObject({ code: 'not_found' });
  expect(await store.get(tenant_id)).toMatchObject({ version: 2, config: { weight: 2 } });
});

test('pages walk every tenant once', async () => {
  for (let i = 0; i < 7; i++) await store.create(configOf(`page-${i}`), 'test');
  const seen: string[] = [];
  let after: string | undefined;
  do {
    const page = await store.list({ limit: 3, ...(after === undefined ? {} : { after }) });
    seen.push(...page.data.map(({ tenant_id }) => tenant_id));
    after = page.has_more ? (page.last_id ?? undefined) : undefined;
  } while (after !== undefined);
  expect(new Set(seen).size).toBe(seen.length);
  expect(seen.filter((id) => id.startsWith('page-'))).toHaveLength(7);
});

test('the cache is at most two seconds behind, and keeps the last good config', async () => {
  const { tenant_id } = await store.create(configOf('cached'), 'test');
  const clock = { time: 0 };
  const cache = createPolicyCache({ store, monotonicNow: () => clock.time, logger: silentLogger });
  const setRaw = (config: unknown, version: number) =>
    open.database.asSystem((transaction) =>
      transaction.query(
        'UPDATE bulkhead.tenants SET config = $2::jsonb, config_version = $3 WHERE tenant_id = $1',
        [tenant_id, JSON.stringify(config), version],
      ),
    );
  expect((await cache.policyOf(tenant_id))?.version).toBe(1);
  await setRaw({ ...configOf('cached'), weight: 7 }, 2);
  clock.time += 2_000;
  expect((await cache.policyOf(tenant_id))?.config.weight).toBe(7);

  await setRaw({ tenant_id, weight: 'nonsense' }, 3);
  clock.time += 2_000;
  expect((await cache.policyOf(tenant_id))?.version).toBe(2);

  const fresh = createPolicyCache({ store, monotonicNow: () => clock.time, logger: silentLogger });
  await expect(fresh.policyOf(tenant_id)).rejects.toMatchObject({ code: 'service_unavailable' });
  expect(await cache.policyOf(tenantIdSchema.parse('nobody'))).toBeNull();
});

test('the cache asks for many tenants at once, so that a flood of names is few queries', async () => {
  const { tenant_id } = await store.create(configOf('flooded'), 'test');
  const asked: number[] = [];
  const counting = {
    readConfigs(tenantIds: Parameters<typeof store.readConfigs>[0]) {
      asked.push(tenantIds.length);
      return store.readConfigs(tenantIds);
    },
  };
  const cache = createPolicyCache({ store: counting, monotonicNow: () => 0, logger: silentLogger });
  const names = Array.from({ length: 200 }, (_, nth) => tenantIdSchema.parse(`nobody-${nth}`));
  const policies = await Promise.all([...names, tenant_id].map((name) => cache.policyOf(name)));
  expect(policies.filter((policy) => policy !== null).map(({ config }) => config.tenant_id)).toEqual([
    tenant_id,
  ]);
  expect(asked.length).toBeLessThanOrEqual(6);
  expect(Math.max(...asked)).toBe(50);
});

test('a config is bounded as a whole', async () => {
  const { tenant_id } = await store.create(configOf('large'), 'test');
  const phrases = Array.from({ length: 100 }, (_, nth) => `${nth} ${'x'.repeat(190)}`);
  const rules = (count: number) =>
    Array.from({ length: count }, (_, nth) => ({ name: `${nth}`, phrases, message: 'No.' }));
  const patch = (count: number) =>
    store.patch({
      tenantId: tenant_id,
      patch: { refusal_rules: rules(count) },
      author: 'test',
      expectedVersion: null,
    });
  expect((await patch(50)).version).toBe(2);
  await expect(patch(60)).rejects.toMatchObject({ code: 'invalid_request', param: 'refusal_rules' });
  const whole = { ...configOf('too-large'), refusal_rules: rules(60) };
  await expect(store.create(whole, 'test')).rejects.toMatchObject({ param: 'refusal_rules' });
  expect((await store.get(tenant_id)).version).toBe(2);
});
