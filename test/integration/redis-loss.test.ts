import { setTimeout as delay } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { afterEach, describe, expect, it } from 'vitest';
import { newRequestId } from '#app/ids.ts';
import { createTenantContext, type TenantContext } from '#app/tenant-context.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { LimitAdmitted, LimitDecision, LimitScope } from '#router/limits/rate-limiter.ts';
import { connectRedis } from '#router/limits/redis/redis-connection.ts';
import { createRedisRateLimiter, type RedisRateLimiter } from '#router/limits/redis/redis-rate-limiter.ts';
import { freePort } from '#test/support/free-port.ts';
import { startRedis } from '#test/support/start-redis.ts';
import { testContext } from '#test/support/test-context.ts';

const url = process.env.REDIS_URL ?? '';
if (url === '') console.warn('SKIPPED: no Redis (REDIS_URL); npm run test:integration starts one.');

/** Longer than routers have for telling a Redis what it lost. */
const SETTLED_MS = 2_500;
const open: RedisRateLimiter[] = [];

const scopesOf = (limits: Partial<LimitScope['limits']>): LimitScope[] => [
  {
    scope: 'tenant',
    onOutage: 'degrade',
    limits: {
      requests_per_minute: null,
      requests_per_hour: null,
      tokens_per_minute: null,
      concurrent_requests: null,
      ...limits,
    },
  },
];

let tenants = 0;
const freshTenant = () => testContext(`loss-${process.pid}-${tenants++}`);
const again = (context: TenantContext) => createTenantContext({ ...context, requestId: newRequestId() });

/** Routers that know of each other. Patient, so that a busy machine does not look like an outage. */
async function routers(count: number, redisUrl = url): Promise<RedisRateLimiter[]> {
  const monotonicNow = () => performance.now();
  const limiters = Array.from({ length: count }, (_, router) =>
    createRedisRateLimiter({
      redis: connectRedis({ url: redisUrl, cluster: false, onError: () => undefined }),
      local: createMemoryRateLimiter({ monotonicNow }),
      instanceId: `router-${router}`,
      monotonicNow,
      onOutage: () => undefined,
      silenceMs: 5_000,
    }),
  );
  open.push(...limiters);
  for (const limiter of limiters) await limiter.start();
  await delay(1_100);
  return limiters;
}

async function flush(): Promise<void> {
  const client = await createClient({ url }).connect();
  await client.flushAll();
  client.destroy();
}

function isAdmitted(decision: LimitDecision | undefined): decision is LimitAdmitted {
  return decision?.admitted === true;
}

/** Asks both routers in turn; the requests that were admitted. */
async function ask(
  limiters: readonly RedisRateLimiter[],
  context: TenantContext,
  scopes: readonly LimitScope[],
  count: number,
): Promise<LimitAdmitted[]> {
  const admitted: LimitAdmitted[] = [];
  for (let request = 0; request < count; request++) {
    const decision = await limiters[request % limiters.length]?.admit(again(context), scopes, 10);
    if (isAdmitted(decision)) admitted.push(decision);
  }
  return admitted;
}

afterEach(async () => {
  for (const limiter of open.splice(0)) await limiter.close();
});

describe.skipIf(url === '')('a Redis that loses its data', { timeout: 60_000 }, () => {
  it('FLUSHALL with 5 of 5 places held over two routers: a 6th is refused, at once and later', async () => {
    const limiters = await routers(2);
    const context = freshTenant();
    const scopes = scopesOf({ concurrent_requests: 5 });
    const held = await ask(limiters, context, scopes, 6);
    expect(held).toHaveLength(5);

    await flush();
    expect(await ask(limiters, context, scopes, 10)).toHaveLength(0);
    await delay(SETTLED_MS);
    expect(await ask(limiters, context, scopes, 10)).toHaveLength(0);

    // They are given back one by one.
    held[0]?.release();
    held[1]?.release();
    await delay(200);
    expect(await ask(limiters, context, scopes, 10)).toHaveLength(2);
  });

  it('places are told again by a router that is asked nothing', async () => {
    const [first, second] = await routers(2);
    if (first === undefined || second === undefined) throw new Error('There are two.');
    const context = freshTenant();
    const scopes = scopesOf({ concurrent_requests: 5 });
    expect(await ask([first], context, scopes, 5)).toHaveLength(5);
    await flush();
    // Two beats of the first router; the second has never seen the tenant.
    await delay(1_100);
    expect(await ask([second], context, scopes, 5)).toHaveLength(0);
  });

  it('requests within the minute and the hour are counted further, over two routers', async () => {
    const limiters = await routers(2);
    const context = freshTenant();
    const scopes = scopesOf({ requests_per_minute: 30, requests_per_hour: 40 });
    expect(await ask(limiters, context, scopes, 24)).toHaveLength(24);
    await flush();
    await delay(SETTLED_MS);
    expect(await ask(limiters, context, scopes, 24)).toHaveLength(6);
    // What was told is told once.
    expect(await ask(limiters, context, scopes, 4)).toHaveLength(0);
  });

  it('a loss in the middle of requests admits no more than the limit', async () => {
    const limiters = await routers(3);
    const context = freshTenant();
    const scopes = scopesOf({ concurrent_requests: 12 });
    const held: LimitAdmitted[] = [];
    const asking = Promise.all(
      Array.from({ length: 60 }, async (_, request) => {
        await delay(request * 5);
        const decision = await limiters[request % 3]?.admit(again(context), scopes);
        if (isAdmitted(decision)) held.push(decision);
      }),
    );
    await delay(20);
    await flush();
    await asking;
    await delay(SETTLED_MS);
    held.push(...(await ask(limiters, context, scopes, 30)));
    expect(held.length).toBeLessThanOrEqual(12);
  });

  it('a restart without persistence: places that are held are known again', async () => {
    const port = await freePort();
    let redis = await startRedis({ port });
    try {
      const limiters = await routers(2, redis.env.REDIS_URL);
      const context = freshTenant();
      const scopes = scopesOf({ concurrent_requests: 4 });
      expect(await ask(limiters, context, scopes, 6)).toHaveLength(4);
      await redis.stop();
      // Decided by shares while it is away: 2 of each router, which are held.
      expect(await ask(limiters, context, scopes, 6)).toHaveLength(0);
      redis = await startRedis({ port });
      await delay(6_000);
      expect(limiters.map(({ isDegraded }) => isDegraded)).toEqual([false, false]);
      expect(await ask(limiters, context, scopes, 6)).toHaveLength(0);
    } finally {
      await redis.stop();
    }
  });

  it('a tenant that Redis never knew is decided at once', async () => {
    const limiters = await routers(2);
    expect(await ask(limiters, freshTenant(), scopesOf({ concurrent_requests: 1 }), 1)).toHaveLength(1);
  });
});
