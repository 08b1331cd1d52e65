import { createClient } from '@redis/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newRequestId, tenantIdSchema } from '#app/ids.ts';
import { createTenantContext } from '#app/tenant-context.ts';
import { createRedisBudgetShares } from '#router/ledger/budget-shares.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { LimitScope } from '#router/limits/rate-limiter.ts';
import { connectRedis, type RedisConnection } from '#router/limits/redis/redis-connection.ts';
import { createRedisRateLimiter, type RedisRateLimiter } from '#router/limits/redis/redis-rate-limiter.ts';
import { startRedisCluster } from '#test/support/start-redis-cluster.ts';
import { testContext } from '#test/support/test-context.ts';

const canRun = (process.env.REDIS_URL ?? '') !== '';
if (!canRun) console.warn('SKIPPED: no Redis (REDIS_URL); npm run test:integration starts one.');

const LIMIT = 37;
const NONE = {
  requests_per_minute: null,
  requests_per_hour: null,
  tokens_per_minute: null,
  concurrent_requests: null,
};
/** Every kind of key that there is, of several scopes at once: a script may touch one slot alone. */
const SCOPES: LimitScope[] = [
  {
    scope: 'tenant',
    limits: {
      requests_per_minute: LIMIT,
      requests_per_hour: 10_000,
      tokens_per_minute: 1_000_000,
      concurrent_requests: 10_000,
    },
  },
  { scope: 'user', limits: { ...NONE, requests_per_minute: 1_000, tokens_per_minute: 1_000_000 } },
];
/** Patient, so that a busy machine does not look like an outage. */
const SILENCE_MS = 20_000;

describe.skipIf(!canRun)('limits on a cluster of three nodes', () => {
  let cluster: Awaited<ReturnType<typeof startRedisCluster>>;
  const connections: RedisConnection[] = [];
  const limiters: RedisRateLimiter[] = [];
  const outages: unknown[] = [];
  const monotonicNow = () => performance.now();

  beforeAll(async () => {
    cluster = await startRedisCluster();
    for (const instanceId of ['one', 'two']) {
      const redis = connectRedis({ url: cluster.urls[0] ?? '', cluster: true, onError: () => undefined });
      connections.push(redis);
      const limiter = createRedisRateLimiter({
        redis,
        local: createMemoryRateLimiter({ monotonicNow }),
        instanceId,
        monotonicNow,
        onOutage: (isOut, cause) => outages.push([isOut, cause]),
        silenceMs: SILENCE_MS,
      });
      limiters.push(limiter);
      await redis.connected(SILENCE_MS);
      await limiter.start();
    }
  });
  afterAll(async () => {
    for (const limiter of limiters) await limiter.close();
    await cluster?.stop();
  });

  const tenants = Array.from({ length: 12 }, (_, index) => `tenant-${index}`);

  /** How many keys of bulkhead’s each node has that match. */
  const keysOfNodes = (pattern: string) =>
    Promise.all(
      cluster.urls.map(async (url) => {
        const client = await createClient({ url }).connect();
        try {
          return (await client.keys(pattern)).length;
        } finally {
          client.destroy();
        }
      }),
    );

  test('are exact for every tenant, each on one node, the tenants over all of them', async () => {
    for (const tenant of tenants) {
      const context = testContext(tenant, 'alice');
      const decisions = await Promise.all(
        Array.from({ length: 100 }, (_, index) =>
          limiters[index % limiters.length]?.admit(
            createTenantContext({ ...context, requestId: newRequestId() }),
            SCOPES,
            5,
          ),
        ),
      );
      const admitted = decisions.flatMap((decision) => (decision?.admitted === true ? [decision] : []));
      expect([tenant, admitted.length]).toEqual([tenant, LIMIT]);
      for (const decision of admitted) {
        decision.settle(3);
        decision.release();
      }
      const keys = await keysOfNodes(`bulkhead:{${tenant}}:*`);
      expect([tenant, keys.filter((count) => count > 0).length]).toEqual([tenant, 1]);
    }
    const spread = await keysOfNodes('bulkhead:{tenant-*');
    expect(spread.every((count) => count > 0)).toBe(true);
    // A script that touched two slots would have failed, and the breaker would have said so.
    expect(outages).toEqual([]);
  });

  test('share budgets as well', async () => {
    const [one, two] = connections.map((redis, index) =>
      createRedisBudgetShares({ redis, instanceId: `router-${index}`, monotonicNow, silenceMs: SILENCE_MS }),
    );
    for (const tenant of tenants) {
      const tenantId = tenantIdSchema.parse(tenant);
      const turn = (own: number) => ({ limit: 100, estimate: 60, take: () => ({ known: 0, own }) });
      expect(await one?.admit(tenantId, '2026-11', turn(60))).toEqual({ admitted: true, before: 0 });
      expect(await two?.admit(tenantId, '2026-11', turn(60))).toEqual({ admitted: true, before: 60 });
      expect(await one?.admit(tenantId, '2026-11', turn(120))).toEqual({ admitted: false, before: 120 });
    }
  });

  test('are forgotten with their tenant on whichever node they are', async () => {
    for (const tenant of tenants) {
      const tenantId = tenantIdSchema.parse(tenant);
      expect((await keysOfNodes(`bulkhead:{${tenant}}:*`)).some((count) => count > 0)).toBe(true);
      await connections[0]?.forgetTenant(tenantId);
      expect(await keysOfNodes(`bulkhead:{${tenant}}:*`)).toEqual([0, 0, 0]);
    }
  });
});
