import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RequestId, tenantIdSchema } from '#app/ids.ts';
import { toPage } from '#app/schemas/page.ts';
import { type Tenant, tenantSchema } from '#app/schemas/tenant.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { createTenantUpkeep, deleteInBatches } from '#router/tenants/tenant-upkeep.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant } from '#test/support/test-context.ts';

const tenant = (tenant_id: string): Tenant =>
  tenantSchema.parse({
    tenant_id,
    version: 1,
    config: tenantConfigSchema.parse({ tenant_id, display_name: tenant_id }),
    created_at: '',
    updated_at: '',
  });

/** So many tenants, in pages as the store gives them. */
function listOf(count: number) {
  const all = Array.from({ length: count }, (_, i) => tenant(`t${String(i).padStart(4, '0')}`));
  return {
    async list({ limit, after }: { limit: number; after?: string | undefined }) {
      const from = after === undefined ? 0 : all.findIndex(({ tenant_id }) => tenant_id === after) + 1;
      return toPage(all.slice(from, from + limit + 1), limit, ({ tenant_id }) => tenant_id);
    },
  };
}

describe('a pass', () => {
  it('tends every tenant once, over pages, and one that fails keeps no other', async () => {
    const tended: string[] = [];
    const failures: unknown[] = [];
    const upkeep = createTenantUpkeep({
      tenants: listOf(205),
      firstMs: 1,
      async tend({ tenant_id }) {
        tended.push(tenant_id);
        if (tenant_id === 't0101') throw new Error('locked');
        return 2;
      },
      onError: (error, tenantId) => failures.push([String(error), tenantId]),
    });
    expect(await upkeep.run()).toBe(408);
    expect([tended.length, new Set(tended).size]).toEqual([205, 205]);
    expect(failures).toEqual([['Error: locked', 't0101']]);
  });

  it('stops at the next tenant when it is closed, and does not finish as if it were done', async () => {
    const tended: string[] = [];
    const begun = Promise.withResolvers<void>();
    const goOn = Promise.withResolvers<void>();
    let isFinished = false;
    const upkeep = createTenantUpkeep({
      tenants: listOf(3),
      firstMs: 1,
      async tend({ tenant_id }, isClosed) {
        tended.push(`${tenant_id} ${isClosed()}`);
        begun.resolve();
        await goOn.promise;
        tended.push(`${tenant_id} ${isClosed()}`);
        return 1;
      },
      async after() {
        isFinished = true;
      },
      onError: () => undefined,
    });
    upkeep.start();
    await begun.promise;
    let isClosed = false;
    const closing = upkeep.close().then(() => {
      isClosed = true;
    });
    await new Promise(setImmediate);
    expect(isClosed).toBe(false);
    goOn.resolve();
    await closing;
    expect([tended, isFinished]).toEqual([['t0000 false', 't0000 true'], false]);
  });

  it('that ends early is told, and none begins after the close', async () => {
    const failures: unknown[] = [];
    let passes = 0;
    const failed = Promise.withResolvers<void>();
    const upkeep = createTenantUpkeep({
      tenants: listOf(1),
      firstMs: 1,
      async before() {
        passes += 1;
        throw new Error('away');
      },
      tend: async () => 1,
      onError(error, tenantId) {
        failures.push([String(error), tenantId]);
        failed.resolve();
      },
    });
    upkeep.start();
    await failed.promise;
    await upkeep.close();
    upkeep.start();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect([failures, passes]).toEqual([[['Error: away', null]], 1]);
  });
});

describe('deleteInBatches', () => {
  let open: Awaited<ReturnType<typeof createTestDatabase>>;
  beforeAll(async () => {
    open = await createTestDatabase();
    for (const id of ['acme', 'globex']) await insertTestTenant(open.database, id);
    await open.database.asSystem((transaction) =>
      transaction.query(
        `INSERT INTO bulkhead.usage_records (request_id, tenant_id, user_id, route, prompt_tokens, completion_tokens,
                cost_usd, latency_ms, status, outcome, created_at)
         SELECT 'req_' || t.tenant_id || n, t.tenant_id, 'u', 'rag', 0, 0, 0, 1, 200, 'ok', now()
           FROM bulkhead.tenants t, generate_series(1, 2500) n`,
      ),
    );
  });
  afterAll(() => open.close());

  const SQL = `
    DELETE FROM bulkhead.usage_records WHERE tenant_id = $1 AND request_id IN (
      SELECT request_id FROM bulkhead.usage_records WHERE tenant_id = $1 AND created_at < $2 LIMIT $3)
    RETURNING request_id`;
  const remove = (isClosed: () => boolean) =>
    deleteInBatches({
      database: open.database,
      tenantId: tenantIdSchema.parse('acme'),
      sql: SQL,
      before: new Date(Date.now() + 60_000),
      isClosed,
    });
  const countOf = async (tenantId: string) => {
    const rows = await open.database.asSystem((transaction) =>
      transaction.query<{ request_id: RequestId }>(
        'SELECT request_id FROM bulkhead.usage_records WHERE tenant_id = $1',
        [tenantId],
      ),
    );
    return rows.length;
  };

  it('goes on until nothing is left, of one tenant alone, and stops between batches', async () => {
    let asked = 0;
    expect(await remove(() => ++asked > 1)).toEqual({ deleted: 1_000, isDone: false });
    expect(await countOf('acme')).toBe(1_500);
    expect(await remove(() => false)).toEqual({ deleted: 1_500, isDone: true });
    expect([await countOf('acme'), await countOf('globex')]).toEqual([0, 2_500]);
  });
});
