import { createClient } from '@redis/client';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { newRequestId, sortableId, tenantIdSchema } from '#app/ids.ts';
import { createTenantContext } from '#app/tenant-context.ts';
import { createRedisBudgetShares } from '#router/ledger/budget-shares.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { LimitScope } from '#router/limits/rate-limiter.ts';
import { connectRedis } from '#router/limits/redis/redis-connection.ts';
import { createRedisRateLimiter, type RedisRateLimiter } from '#router/limits/redis/redis-rate-limiter.ts';
import { testContext } from '#test/support/test-context.ts';

// A counter that loses its expiry refuses for ever: INCR and then EXPIRE, with anything in between. Here every script sets both.

const url = process.env.REDIS_URL ?? '';
if (url === '') console.warn('SKIPPED: no Redis (REDIS_URL); npm run test:integration starts one.');

/** An hour's window, and a little. */
const LONGEST_MS = 3_601_000;
const LIMITS = {
  requests_per_minute: 3,
  requests_per_hour: 1_000,
  tokens_per_minute: 1_000,
  concurrent_requests: 50,
};
const SCOPES: LimitScope[] = [
  { scope: 'tenant', limits: LIMITS },
  { scope: 'user', limits: { ...LIMITS, requests_per_minute: 1_000 } },
];

describe.skipIf(url === '')('what the limiter keeps in Redis', () => {
  let redis: ReturnType<typeof connectRedis>;
  let limiter: RedisRateLimiter;
  let client: ReturnType<typeof createClient>;
  let tenant: string;
  beforeAll(async () => {
    client = createClient({ url });
    await client.connect();
    redis = connectRedis({ url, cluster: false, onError: () => undefined });
    const monotonicNow = () => performance.now();
    const local = createMemoryRateLimiter({ monotonicNow });
    const options = { instanceId: 'test', monotonicNow, onOutage: () => undefined, silenceMs: 20_000 };
    limiter = createRedisRateLimiter({ redis, local, ...options });
    await limiter.start();
    // Until it is connected, it counts as cut off.
    do await limiter.admit(testContext('probe'), SCOPES);
    while (limiter.isDegraded);
  });
  afterAll(async () => {
    await limiter?.close();
    await client?.close();
  });
  afterEach(async () => {
    await redis.forgetTenant(tenantIdSchema.parse(tenant));
  });
  const freshTenant = () => {
    tenant = `expiry-${sortableId()}`;
    return testContext(tenant, 'alice');
  };
  const keyOf = (name: string) => `bulkhead:{${tenant}}:limits:${name}`;

  /** Every key of the tenant and of the routers themselves, with how long it lives; -1: for ever. */
  async function lives(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const match of [`bulkhead:{${tenant}}:*`, 'bulkhead:{routers}:*']) {
      for await (const keys of client.scanIterator({ MATCH: match, COUNT: 1_000 })) {
        for (const key of [keys].flat()) found.set(key, await client.pTTL(key));
      }
    }
    return found;
  }
  async function expectAllToExpire(least: number): Promise<void> {
    const found = await lives();
    expect(found.size).toBeGreaterThanOrEqual(least);
    // -2: gone meanwhile.
    const immortal = [...found].filter(([, ms]) => ms === -1 || ms > LONGEST_MS);
    expect(immortal).toEqual([]);
  }
  const again = (context: ReturnType<typeof freshTenant>) =>
    createTenantContext({ ...context, requestId: newRequestId() });

  test('expires, after each step of requests that are admitted, denied, settled, renewed and given up', async () => {
    const context = freshTenant();
    for (let request = 0; request < 6; request++) {
      const decision = await limiter.admit(again(context), SCOPES, 100);
      expect(decision.admitted).toBe(request < 3);
      await expectAllToExpire(10);
      if (!decision.admitted) continue;
      decision.settle(request * 7);
      if (request % 2 === 0) decision.release();
      await limiter.admit(again(context), [{ scope: 'key', limits: LIMITS }], 1);
      await expectAllToExpire(12);
    }
    const shares = createRedisBudgetShares({
      redis,
      instanceId: 'test',
      monotonicNow: () => performance.now(),
      silenceMs: 20_000,
    });
    const { tenantId } = context;
    const take = () => ({ known: 1, own: 2 });
    expect(await shares.admit(tenantId, '2026-11', { limit: 10, estimate: 1, take })).not.toBeNull();
    expect(await shares.admit(tenantId, '2026-11', { limit: 0, estimate: 1, take })).toMatchObject({
      admitted: false,
    });
    await shares.report(tenantId, '2026-11', { known: 5, own: 0 });
    await expectAllToExpire(15);
  });

  test.each(['requests', 'tokens', 'reserved', 'sum', 'active'])(
    'expires, and lets requests pass, where Redis has lost the key :%s alone',
    async (lost) => {
      const context = freshTenant();
      const scopes: LimitScope[] = [{ scope: 'tenant', limits: { ...LIMITS, requests_per_minute: 1_000 } }];
      const first = await limiter.admit(again(context), scopes, 600);
      const second = await limiter.admit(again(context), scopes, 400);
      const full = await limiter.admit(again(context), scopes, 1);
      expect([first.admitted, second.admitted, full.admitted]).toEqual([true, true, false]);
      await client.del(keyOf(`tenant:${lost}`));
      if (first.admitted) {
        first.settle(10);
        first.release();
      }
      if (second.admitted) {
        second.settle(5);
        second.release();
      }
      // Only where the amounts are lost nobody knows what was given back: then they count for their minute, and no longer.
      const ask = async () => (await limiter.admit(again(context), scopes, 300)).admitted;
      if (lost === 'reserved') expect(await ask()).toBe(false);
      else await expect.poll(ask).toBe(true);
      await expectAllToExpire(3);
    },
  );
});
