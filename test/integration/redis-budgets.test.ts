import fc from 'fast-check';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { sortableId, type TenantId, tenantIdSchema } from '#app/ids.ts';
import { silentLogger } from '#observability/logger.ts';
import { createRedisBudgetShares } from '#router/ledger/budget-shares.ts';
import { type Budgets, createBudgets } from '#router/ledger/budgets.ts';
import { connectRedis, type RedisConnection } from '#router/limits/redis/redis-connection.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { insertTestTenant } from '#test/support/test-context.ts';

const url = process.env.REDIS_URL ?? '';
if (url === '') console.warn('SKIPPED: no Redis (REDIS_URL); npm run test:integration starts one.');

const AT = Date.UTC(2026, 10, 23, 12);
const NANOS = 1_000_000_000;

let open: Awaited<ReturnType<typeof createTestDatabase>>;
beforeAll(async () => {
  open = await createTestDatabase();
});
afterAll(() => open?.close());

const closing: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

/** A router as far as budgets see it: turns that begin and end, and rows that are shipped to the database. */
class Router {
  readonly budgets: Budgets;
  readonly redis: RedisConnection;
  readonly #tenantId: TenantId;
  #unshipped = 0;

  constructor(tenantId: TenantId, { at = url, leaseMs = 30_000 } = {}) {
    this.#tenantId = tenantId;
    this.redis = connectRedis({ url: at, cluster: false, onError: () => undefined });
    const monotonicNow = () => performance.now();
    this.budgets = createBudgets({
      database: open.database,
      logger: silentLogger,
      now: () => AT,
      monotonicNow,
      shares: createRedisBudgetShares({
        redis: this.redis,
        instanceId: sortableId(),
        monotonicNow,
        // Patient, so that a busy machine does not look like an outage.
        silenceMs: 20_000,
        leaseMs,
      }),
    });
    closing.push(() => this.close());
  }

  async admit(budget: number, estimate: number): Promise<string | null> {
    const requestId = sortableId();
    const turn = { tenantId: this.#tenantId, requestId };
    try {
      await this.budgets.admit({ ...turn, budgetUsd: budget / NANOS, estimateUsd: estimate / NANOS });
      return requestId;
    } catch (error) {
      expect(error).toMatchObject({ code: 'budget_exceeded' });
      return null;
    }
  }

  settle(requestId: string, cost: number): void {
    this.budgets.settle(this.#tenantId, requestId, cost / NANOS);
    this.#unshipped += cost;
  }

  async ship(): Promise<void> {
    const onArrival = this.budgets.ship();
    const nanos = this.#unshipped;
    this.#unshipped = 0;
    await open.database.asSystem((transaction) =>
      transaction.query(
        `INSERT INTO bulkhead.usage_months (tenant_id, month, requests, cost_usd)
         VALUES ($1, '2026-11-01', 1, $2::numeric / 1000000000)
         ON CONFLICT (tenant_id, month) DO UPDATE SET cost_usd = usage_months.cost_usd + excluded.cost_usd`,
        [this.#tenantId, nanos],
      ),
    );
    await onArrival();
  }

  async close(): Promise<void> {
    this.budgets.close();
    await this.redis.close();
  }
}

let tenants = 0;
async function freshTenant(): Promise<TenantId> {
  const tenant = `budget-${process.pid}-${tenants++}`;
  await insertTestTenant(open.database, tenant);
  return tenantIdSchema.parse(tenant);
}

async function routersOf(tenantId: TenantId, count = 3): Promise<Router[]> {
  const routers = Array.from({ length: count }, () => new Router(tenantId));
  for (const router of routers) await router.redis.connected(10_000);
  return routers;
}

describe.skipIf(url === '')('budgets over several routers', () => {
  test('a thousand concurrent turns of three routers spend the budget, and no more than one estimate beyond', async () => {
    for (let round = 0; round < 5; round++) {
      const routers = await routersOf(await freshTenant());
      const budget = 100_500;
      const turns = Array.from({ length: 1_000 }, async (_, i) => {
        const router = routers[i % 3];
        const id = await router?.admit(budget, 1_000);
        if (typeof id !== 'string') return 0;
        router?.settle(id, 1_000);
        if (i % 50 === 0) await router?.ship();
        return 1_000;
      });
      const spent = (await Promise.all(turns)).reduce<number>((sum, cost) => sum + cost, 0);
      expect(spent).toBe(101_000);
      for (const router of routers) {
        await router.ship();
        expect(await router.admit(budget, 1)).toBeNull();
        await router.close();
      }
    }
  }, 60_000);

  test('whatever routers do in whatever order, what is spent and held stays within the budget and one estimate', async () => {
    const router = fc.nat({ max: 2 });
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          do: fc.constant('admit' as const),
          router,
          estimate: fc.integer({ min: 1, max: 400 }),
        }),
      },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant('settle' as const),
          router,
          share: fc.double({ min: 0, max: 1, noNaN: true }),
        }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('ship' as const), router }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 5, maxLength: 60 }),
        fc.boolean(),
        async (steps, isParallel) => {
          const routers = await routersOf(await freshTenant());
          const budget = 1_000;
          let spent = 0;
          const held = new Map<string, { router: number; estimate: number }>();
          const check = () => {
            const holding = [...held.values()].reduce((sum, { estimate }) => sum + estimate, 0);
            expect(spent + holding).toBeLessThan(budget + 400);
          };
          const run = async (one: (typeof steps)[number]) => {
            if (one.do === 'admit') {
              const id = await routers[one.router]?.admit(budget, one.estimate);
              if (typeof id === 'string') held.set(id, one);
            } else if (one.do === 'settle') {
              const [id, turn] = [...held].find(([, each]) => each.router === one.router) ?? [];
              if (id === undefined || turn === undefined) return;
              held.delete(id);
              const cost = Math.floor(turn.estimate * one.share);
              spent += cost;
              routers[turn.router]?.settle(id, cost);
            } else await routers[one.router]?.ship();
            check();
          };
          if (isParallel) await Promise.all(steps.map(run));
          else for (const one of steps) await run(one);
          for (const each of routers) await each.close();
        },
      ),
      { numRuns: 40 },
    );
  }, 120_000);

  test('what Redis loses it is told again', async () => {
    const tenantId = await freshTenant();
    const [first, second] = await routersOf(tenantId, 2);
    if (first === undefined || second === undefined) throw new Error('There are no routers.');
    const id = await first.admit(1_000, 1_000);
    expect(id).not.toBeNull();
    expect(await second.admit(1_000, 1)).toBeNull();
    const { createClient } = await import('@redis/client');
    const client = await createClient({ url }).connect();
    const keys = await client.keys(`bulkhead:{${tenantId}}:budget:*`);
    expect(keys.length).toBe(3);
    await client.del(keys);
    // Within a second the first tells what it holds; what the second began meanwhile ends at no cost.
    await expect
      .poll(
        async () => {
          const begun = await second.admit(1_000, 1);
          if (begun !== null) second.settle(begun, 0);
          return begun;
        },
        { timeout: 20_000 },
      )
      .toBeNull();
    client.destroy();
  });

  test('what a router held that is gone is free again, and what it had shipped is not', async () => {
    const tenantId = await freshTenant();
    const gone = new Router(tenantId, { leaseMs: 1_500 });
    const stays = new Router(tenantId, { leaseMs: 1_500 });
    for (const router of [gone, stays]) await router.redis.connected(10_000);
    const shipped = await gone.admit(1_000, 400);
    gone.settle(shipped ?? '', 400);
    await gone.ship();
    expect(await gone.admit(1_000, 600)).not.toBeNull();
    expect(await stays.admit(1_000, 1)).toBeNull();
    await gone.close();
    await expect.poll(() => stays.admit(1_000, 600), { timeout: 20_000 }).not.toBeNull();
    expect(await stays.admit(1_000, 1)).toBeNull();
  });

  test('without Redis each decides by what it knows', async () => {
    const tenantId = await freshTenant();
    const cut = new Router(tenantId, { at: 'redis://127.0.0.1:1' });
    expect(await cut.admit(1_000, 600)).not.toBeNull();
    expect(await cut.admit(1_000, 600)).not.toBeNull();
    expect(await cut.admit(1_000, 600)).toBeNull();
  });

  test('a turn that ended while it was asked for holds nothing', async () => {
    const tenantId = await freshTenant();
    const [only] = await routersOf(tenantId, 1);
    if (only === undefined) throw new Error('There is no router.');
    // Read once, so that the next one goes straight to Redis.
    only.settle((await only.admit(1_000, 1)) ?? '', 0);
    const requestId = sortableId();
    const asked = only.budgets.admit({
      tenantId,
      requestId,
      budgetUsd: 1_000 / NANOS,
      estimateUsd: 1_000 / NANOS,
    });
    only.budgets.settle(tenantId, requestId, 0);
    await asked;
    await expect.poll(() => only.admit(1_000, 1), { timeout: 10_000 }).not.toBeNull();
  });
});
