import { execFileSync } from 'node:child_process';
import { createClient } from '@redis/client';
import fc from 'fast-check';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { newRequestId, tenantIdSchema } from '#app/ids.ts';
import { createTenantContext, type TenantContext } from '#app/tenant-context.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { LimitDecision, LimitScope } from '#router/limits/rate-limiter.ts';
import { connectRedis } from '#router/limits/redis/redis-connection.ts';
import { createRedisRateLimiter, type RedisRateLimiter } from '#router/limits/redis/redis-rate-limiter.ts';
import { testContext } from '#test/support/test-context.ts';

const url = process.env.REDIS_URL ?? '';
if (url === '') console.warn('SKIPPED: no Redis (REDIS_URL); npm run test:integration starts one.');

const NO_LIMITS: LimitScope['limits'] = {
  requests_per_minute: null,
  requests_per_hour: null,
  tokens_per_minute: null,
  concurrent_requests: null,
};
const tenantScope = (limits: Partial<LimitScope['limits']>): LimitScope[] => [
  { scope: 'tenant', limits: { ...NO_LIMITS, ...limits } },
];

const open: RedisRateLimiter[] = [];
const outages: boolean[] = [];

/** Silence that the tests of an outage wait for, milliseconds. bench/redis-outage.ts measures the default. */
const FROZEN_SILENCE_MS = 500;

/** Patient, so that a busy machine does not look like an outage. */
function redisLimiter(instanceId = 'test', silenceMs = 20_000): RedisRateLimiter {
  const monotonicNow = () => performance.now();
  const limiter = createRedisRateLimiter({
    redis: connectRedis({ url, cluster: false, onError: () => undefined }),
    local: createMemoryRateLimiter({ monotonicNow }),
    instanceId,
    monotonicNow,
    onOutage: (isOut) => outages.push(isOut),
    silenceMs,
  });
  open.push(limiter);
  return limiter;
}

let tenants = 0;
/** A tenant of its own for each test, and a request id of its own for each request. */
const freshTenant = () => `limits-${process.pid}-${tenants++}`;
const again = (context: TenantContext) => createTenantContext({ ...context, requestId: newRequestId() });

/** Until it is connected, a limiter counts as cut off. */
async function ready(limiter: RedisRateLimiter): Promise<void> {
  await limiter.start();
  const probe = tenantScope({ requests_per_minute: 1_000_000 });
  const isConnected = async () => {
    await limiter.admit(testContext('probe'), probe);
    return !limiter.isDegraded;
  };
  await expect.poll(isConnected, { timeout: 10_000 }).toBe(true);
  outages.length = 0;
}

afterEach(async () => {
  for (const limiter of open.splice(0)) await limiter.close();
  outages.length = 0;
});

const countAdmitted = (decisions: readonly LimitDecision[]) =>
  decisions.filter(({ admitted }) => admitted).length;

describe.skipIf(url === '')('limits on Redis', () => {
  test('three limiters under a thousand concurrent requests admit exactly the limit', async () => {
    const limiters = ['a', 'b', 'c'].map((instanceId) => redisLimiter(instanceId));
    for (const limiter of limiters) await ready(limiter);
    for (let round = 0; round < 5; round++) {
      const context = testContext(freshTenant());
      const scopes = tenantScope({ requests_per_minute: 137 });
      const decisions = await Promise.all(
        Array.from({ length: 1_000 }, (_, i) => limiters[i % 3]?.admit(again(context), scopes)),
      );
      expect(countAdmitted(decisions.filter((decision) => decision !== undefined))).toBe(137);
      for (const decision of decisions) {
        if (decision?.admitted === false)
          expect(decision).toMatchObject({ name: 'requests_per_minute', limit: 137, current: 137 });
      }
    }
    // A machine that paused for 50 ms opened the breaker: then this run proved nothing.
    expect(outages).toEqual([]);
  });

  test('says the same as the limiter in memory, over random schedules of requests, settlements and releases', async () => {
    const redis = redisLimiter();
    await ready(redis);
    const operation = fc.record({
      user: fc.constantFrom('alice', 'bob'),
      tokens: fc.integer({ min: 1, max: 60 }),
      used: fc.option(fc.integer({ min: 0, max: 90 }), { nil: null }),
      release: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 40 }), async (operations) => {
        const tenantId = freshTenant();
        // Far below a minute passes, so both clocks may stand still.
        const memory = createMemoryRateLimiter({ monotonicNow: () => 0 });
        const limits = {
          ...NO_LIMITS,
          requests_per_minute: 25,
          requests_per_hour: 30,
          tokens_per_minute: 400,
        };
        const scopes: LimitScope[] = [
          { scope: 'tenant', limits: { ...limits, concurrent_requests: 9 } },
          { scope: 'user', limits: { ...NO_LIMITS, requests_per_minute: 15, concurrent_requests: 6 } },
        ];
        for (const { user, tokens, used, release } of operations) {
          const context = again(testContext(tenantId, user));
          const [expected, actual] = [
            await memory.admit(context, scopes, tokens),
            await redis.admit(context, scopes, tokens),
          ];
          // Redis’ clock runs on by a little: times are compared to whole minutes.
          const summary = ({ admitted, state, tokens: held, states }: LimitDecision) => [
            admitted,
            state?.limit,
            state?.remaining,
            held?.limit,
            held?.remaining,
            states.map(({ resetMs, nextMs, ...rest }) => ({
              ...rest,
              resets: Math.ceil(resetMs / 60_000),
              frees: nextMs === null ? null : Math.ceil(nextMs / 60_000),
            })),
          ];
          expect(summary(actual)).toEqual(summary(expected));
          if (!expected.admitted && !actual.admitted) {
            expect([actual.limit, actual.current]).toEqual([expected.limit, expected.current]);
          }
          for (const decision of [expected, actual]) {
            if (!decision.admitted) continue;
            if (used !== null) decision.settle(used);
            if (release) decision.release();
          }
        }
      }),
      { numRuns: 40 },
    );
    expect(outages).toEqual([]);
  });

  test('a denied request consumes nothing in any scope', async () => {
    const limiter = redisLimiter();
    await ready(limiter);
    const context = testContext(freshTenant(), 'alice');
    const scopes: LimitScope[] = [
      { scope: 'tenant', limits: { ...NO_LIMITS, requests_per_minute: 3 } },
      { scope: 'user', limits: { ...NO_LIMITS, requests_per_minute: 1 } },
    ];
    expect((await limiter.admit(again(context), scopes)).admitted).toBe(true);
    for (let i = 0; i < 5; i++)
      expect(await limiter.admit(again(context), scopes)).toMatchObject({ admitted: false, scope: 'user' });
    for (const user of ['bob', 'carol']) {
      expect((await limiter.admit(testContext(context.tenantId, user), scopes)).admitted).toBe(true);
    }
    expect(await limiter.admit(testContext(context.tenantId, 'dave'), scopes)).toMatchObject({
      admitted: false,
      scope: 'tenant',
    });
  });

  test('one tenant’s requests are not another’s, nor is a user id that looks like another key', async () => {
    const limiter = redisLimiter();
    await ready(limiter);
    const scopes: LimitScope[] = [{ scope: 'user', limits: { ...NO_LIMITS, requests_per_minute: 1 } }];
    const tenantId = freshTenant();
    for (const [tenant, user] of [
      [tenantId, 'alice'],
      [`${tenantId}x`, 'alice'],
      [tenantId, 'alice:requests'],
      [tenantId, 'key:alice'],
    ] as const) {
      expect((await limiter.admit(testContext(tenant, user), scopes)).admitted).toBe(true);
      expect((await limiter.admit(testContext(tenant, user), scopes)).admitted).toBe(false);
    }
  });
});

describe.skipIf(url === '')('a log with an hour behind it', () => {
  test('tells of each window what is left, and when its own oldest leaves it', async () => {
    const limiter = redisLimiter();
    await ready(limiter);
    const context = testContext(freshTenant(), 'alice');
    const key = `bulkhead:{${context.tenantId}}:limits:tenant:requests`;
    const client = createClient({ url });
    await client.connect();
    try {
      const now = Number((await client.sendCommand(['TIME'])).toString().split(',')[0]) * 1_000;
      // So many requests until then: one entry is before the hour, three are in it, the last of them in the minute.
      const log = { '2': 3_700_000, '5': 3_000_000, '8': 70_000, '10': 20_000 };
      for (const [value, ago] of Object.entries(log)) await client.zAdd(key, { score: now - ago, value });
      const scopes = tenantScope({ requests_per_minute: 100, requests_per_hour: 100 });
      const [minute, hour] = (await limiter.admit(again(context), scopes)).states;
      // With the one that asked.
      expect([minute?.remaining, hour?.remaining]).toEqual([100 - 3, 100 - 9]);
      for (const [state, frees] of [
        [minute, 40_000],
        [hour, 600_000],
      ] as const) {
        // Redis tells whole seconds here, and the machine may be slow.
        expect(state?.nextMs).toBeLessThanOrEqual(frees + 1_000);
        expect(state?.nextMs).toBeGreaterThan(frees - 20_000);
      }
      expect(await client.zCard(key)).toBe(5);
      // Without the hour, one entry before the minute is enough.
      const left = await limiter.admit(again(context), tenantScope({ requests_per_minute: 100 }));
      expect(left.state?.remaining).toBe(100 - 4);
      expect(await client.zRange(key, 0, 1)).toEqual(['8', '10']);
    } finally {
      client.destroy();
    }
  });
});

describe.skipIf(url === '')('what Redis keeps of a tenant that is erased', () => {
  test('goes, whoever it was counted for, and nothing of another one', async () => {
    const limiter = redisLimiter();
    await ready(limiter);
    const gone = freshTenant();
    // As an id that begins alike is another tenant's.
    const kept = `${gone}-too`;
    const limits = {
      requests_per_minute: 5,
      requests_per_hour: 5,
      tokens_per_minute: 50,
      concurrent_requests: 5,
    };
    const scopes: LimitScope[] = [
      { scope: 'tenant', limits },
      { scope: 'user', limits },
    ];
    for (const tenant of [gone, kept]) {
      for (const user of ['alice', 'bob']) await limiter.admit(testContext(tenant, user), scopes, 10);
    }
    const client = createClient({ url });
    await client.connect();
    const redis = connectRedis({ url, cluster: false, onError: () => undefined });
    try {
      await redis.connected(10_000);
      const keysOf = (tenant: string) => client.keys(`*${tenant}}*`);
      expect((await keysOf(gone)).length).toBeGreaterThanOrEqual(9);
      const before = (await keysOf(kept)).sort();
      limiter.forget(tenantIdSchema.parse(gone));
      await redis.forgetTenant(tenantIdSchema.parse(gone));
      expect(await keysOf(gone)).toEqual([]);
      expect((await keysOf(kept)).sort()).toEqual(before);
      // Its limit is whole again: nothing of it was left.
      const decision = await limiter.admit(testContext(gone, 'alice'), scopes, 10);
      expect(decision).toMatchObject({ admitted: true, state: { remaining: 4 } });
    } finally {
      await redis.close();
      client.destroy();
    }
  });
});

const serverPid = url === '' ? null : redisPid();

function redisPid(): number | null {
  try {
    const port = new URL(url).port;
    const info = execFileSync('redis-cli', ['-p', port, 'info', 'server'], { encoding: 'utf8' });
    return Number(/process_id:(\d+)/.exec(info)?.[1] ?? Number.NaN) || null;
  } catch {
    return null;
  }
}

describe.skipIf(serverPid === null)('a frozen Redis', () => {
  afterAll(() => {
    if (serverPid !== null) process.kill(serverPid, 'SIGCONT');
  });

  test('opens the breaker, admits no more than the shares, and closes it when it is back', async () => {
    const limiter = redisLimiter('frozen', FROZEN_SILENCE_MS);
    await ready(limiter);
    const context = testContext(freshTenant());
    const scopes = tenantScope({ requests_per_minute: 10 });
    for (let i = 0; i < 4; i++) expect((await limiter.admit(again(context), scopes)).admitted).toBe(true);
    const full = testContext(freshTenant());
    for (let i = 0; i < 11; i++) await limiter.admit(again(full), scopes);
    process.kill(serverPid ?? 0, 'SIGSTOP');
    try {
      const decisions: LimitDecision[] = [];
      for (let i = 0; i < 30; i++) decisions.push(await limiter.admit(again(context), scopes));
      expect(limiter.isDegraded).toBe(true);
      // Alone, or among the replicas that other tests left announced: never above the limit, what Redis admitted included.
      expect(countAdmitted(decisions)).toBeLessThanOrEqual(6);
      // What Redis had given away is not handed out anew.
      for (let i = 0; i < 10; i++) {
        expect(await limiter.admit(again(full), scopes)).toMatchObject({ admitted: false, current: 10 });
      }
      const denying = tenantScope({ requests_per_minute: 10 }).map((scope) => ({
        ...scope,
        onOutage: 'deny' as const,
      }));
      await expect(limiter.admit(again(context), denying)).rejects.toMatchObject({
        code: 'service_unavailable',
        refusal: { policy: 'rate_limits.on_outage' },
      });
    } finally {
      process.kill(serverPid ?? 0, 'SIGCONT');
    }
    await expect
      .poll(
        async () => {
          await limiter.admit(testContext('probe'), tenantScope({ requests_per_minute: 1_000_000 }));
          return limiter.isDegraded;
        },
        { timeout: 10_000 },
      )
      .toBe(false);
    expect(outages.at(-1)).toBe(false);
    expect(outages).toContain(true);
  });

  test('learns afterwards what became of requests meanwhile, of those too whose answer nobody waited for', async () => {
    const limiter = redisLimiter('frozen-too', FROZEN_SILENCE_MS);
    await ready(limiter);
    const context = testContext(freshTenant());
    const scopes = tenantScope({ tokens_per_minute: 10_000, concurrent_requests: 100 });
    const before = await limiter.admit(again(context), scopes, 1_000);
    process.kill(serverPid ?? 0, 'SIGSTOP');
    try {
      // Redis has this one in its socket, and will count it when it runs again.
      const unanswered = await limiter.admit(again(context), scopes, 500);
      for (const decision of [before, unanswered]) {
        if (!decision.admitted) throw new Error('It was not admitted.');
        decision.settle(7);
        decision.release();
      }
    } finally {
      process.kill(serverPid ?? 0, 'SIGCONT');
    }
    await expect
      .poll(
        async () => {
          const decision = await limiter.admit(again(context), scopes, 0);
          if (decision.admitted) decision.release();
          // What only this process counts holds at most its share of the limit.
          return decision.tokens?.limit === 10_000 ? 10_000 - decision.tokens.remaining : null;
        },
        { timeout: 10_000 },
      )
      .toBe(14);
  });
});
