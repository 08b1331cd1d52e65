import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TenantContext } from '#app/tenant-context.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import type { LimitScope } from '#router/limits/rate-limiter.ts';
import { testContext } from '../../../test/support/test-context.ts';

const MINUTE = 60_000;
const HOUR = 3_600_000;

const NO_LIMITS: LimitScope['limits'] = {
  requests_per_minute: null,
  requests_per_hour: null,
  tokens_per_minute: null,
  concurrent_requests: null,
};

const tenantScope = (limits: Partial<LimitScope['limits']>): LimitScope[] => [
  {
    scope: 'tenant',
    limits: { ...NO_LIMITS, ...limits },
  },
];

function limiterAt(start = 0) {
  const clock = { now: start };
  const limiter = createMemoryRateLimiter({ monotonicNow: () => clock.now });
  return { clock, limiter };
}

const acme = testContext('acme');
const globex = testContext('globex');

describe('sliding windows', () => {
  test('admits exactly the limit, then again when the oldest leaves the window', async () => {
    const { clock, limiter } = limiterAt(1_000);
    const scopes = tenantScope({ requests_per_minute: 2 });
    expect(await limiter.admit(acme, scopes)).toMatchObject({
      admitted: true,
      state: { limit: 2, remaining: 1, windowMs: MINUTE, resetMs: MINUTE },
    });
    clock.now += 10_000;
    expect(await limiter.admit(acme, scopes)).toMatchObject({ admitted: true, state: { remaining: 0 } });
    clock.now += 10_000;
    const denied = await limiter.admit(acme, scopes);
    expect(denied).toMatchObject({
      admitted: false,
      name: 'requests_per_minute',
      limit: 2,
      current: 2,
      retryAfterMs: 40_000,
    });
    clock.now += 39_999;
    expect(await limiter.admit(acme, scopes)).toMatchObject({ admitted: false, retryAfterMs: 1 });
    clock.now += 1;
    expect(await limiter.admit(acme, scopes)).toMatchObject({ admitted: true });
  });

  test('one tenant’s requests are not another’s', async () => {
    const { limiter } = limiterAt();
    const scopes = tenantScope({ requests_per_minute: 1 });
    expect(await limiter.admit(acme, scopes)).toMatchObject({ admitted: true });
    expect(await limiter.admit(acme, scopes)).toMatchObject({ admitted: false });
    expect(await limiter.admit(globex, scopes)).toMatchObject({ admitted: true });
  });

  test('scopes decide together: what one scope denies consumes nothing in the others', async () => {
    const { limiter } = limiterAt();
    const limits = NO_LIMITS;
    const both = [
      { scope: 'tenant', limits: { ...limits, requests_per_minute: 3 } },
      { scope: 'user', limits: { ...limits, requests_per_minute: 1 } },
    ] as const;
    const bob = testContext('acme', 'bob');
    expect(await limiter.admit(acme, both)).toMatchObject({ admitted: true });
    for (let i = 0; i < 5; i++) {
      expect(await limiter.admit(acme, both)).toMatchObject({ admitted: false, scope: 'user' });
    }
    expect(await limiter.admit(bob, both)).toMatchObject({ admitted: true });
    expect(await limiter.admit(testContext('acme', 'carol'), both)).toMatchObject({ admitted: true });
    expect(await limiter.admit(testContext('acme', 'dave'), both)).toMatchObject({
      admitted: false,
      scope: 'tenant',
    });
  });

  test('a lowered limit waits for as many as it must', async () => {
    const { clock, limiter } = limiterAt();
    for (let i = 0; i < 5; i++) {
      await limiter.admit(acme, tenantScope({ requests_per_minute: 10 }));
      clock.now += 1_000;
    }
    expect(await limiter.admit(acme, tenantScope({ requests_per_minute: 2 }))).toMatchObject({
      admitted: false,
      current: 5,
      // The fourth request, at 3,000, must leave.
      retryAfterMs: 3_000 + MINUTE - 5_000,
    });
  });

  test('is exact over any random schedule, and never denies with room left', async () => {
    const step = fc.oneof(
      fc.integer({ min: 0, max: 3 }),
      fc.integer({ min: 0, max: 20_000 }),
      fc.constant(MINUTE),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 6 }),
        fc.option(fc.integer({ min: 1, max: 12 }), { nil: null }),
        fc.array(fc.tuple(step, fc.double({ min: 0, max: 0.999, noNaN: true })), { maxLength: 200 }),
        async (perMinute, perHour, schedule) => {
          const { clock, limiter } = limiterAt();
          const scopes = tenantScope({ requests_per_minute: perMinute, requests_per_hour: perHour });
          const admitted: number[] = [];
          for (const [milliseconds, fraction] of schedule) {
            clock.now = Math.floor(clock.now) + milliseconds + Math.max(fraction, clock.now % 1);
            const { now } = clock;
            const since = (length: number, slack: number) =>
              admitted.filter((time) => time > now - length - slack).length;
            const decision = await limiter.admit(acme, scopes);
            if (decision.admitted) {
              expect(since(MINUTE, 0)).toBeLessThan(perMinute);
              if (perHour !== null) expect(since(HOUR, 0)).toBeLessThan(perHour);
              admitted.push(now);
            } else {
              // Times are kept to the millisecond, rounded up: a denial may last that one millisecond longer.
              const full = since(MINUTE, 1) >= perMinute || (perHour !== null && since(HOUR, 1) >= perHour);
              expect(full).toBe(true);
            }
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  test('a true Retry-After: denied until then, admitted at it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 8 }),
        fc.array(fc.integer({ min: 0, max: 15_000 }), { minLength: 10, maxLength: 60 }),
        async (perMinute, perHour, gaps) => {
          const { clock, limiter } = limiterAt();
          const scopes = tenantScope({ requests_per_minute: perMinute, requests_per_hour: perHour });
          for (const gap of gaps) {
            clock.now += gap;
            const decision = await limiter.admit(acme, scopes);
            if (decision.admitted) continue;
            clock.now += decision.retryAfterMs - 1;
            expect(await limiter.admit(acme, scopes)).toMatchObject({ admitted: false });
            clock.now += 1;
            expect(await limiter.admit(acme, scopes)).toMatchObject({ admitted: true });
          }
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('tokens', () => {
  const scopes = tenantScope({ tokens_per_minute: 100 });

  test('are reserved before and settled after, down or up', async () => {
    const { limiter } = limiterAt();
    const first = await limiter.admit(acme, scopes, 60);
    expect(first).toMatchObject({ admitted: true, tokens: { limit: 100, remaining: 40 } });
    expect(await limiter.admit(acme, scopes, 60)).toMatchObject({
      admitted: false,
      name: 'tokens_per_minute',
      current: 60,
    });
    if (first.admitted) first.settle(10);
    const second = await limiter.admit(acme, scopes, 60);
    expect(second).toMatchObject({ admitted: true, tokens: { remaining: 30 } });
    if (second.admitted) second.settle(500);
    expect(await limiter.admit(acme, scopes, 1)).toMatchObject({ admitted: false, current: 510 });
  });

  test('a reservation of one token does not let thousands follow', async () => {
    const { limiter } = limiterAt();
    for (let i = 0; i < 3; i++) {
      const decision = await limiter.admit(acme, scopes, 1);
      if (decision.admitted) decision.settle(60);
    }
    expect(await limiter.admit(acme, scopes, 1)).toMatchObject({ admitted: false });
  });

  test('stay counted when a request ends without being settled', async () => {
    const { limiter } = limiterAt();
    const decision = await limiter.admit(acme, scopes, 100);
    if (decision.admitted) decision.release();
    expect(await limiter.admit(acme, scopes, 1)).toMatchObject({ admitted: false });
  });

  test('free up when their reservation is a minute old, and a late settlement changes nothing', async () => {
    const { clock, limiter } = limiterAt();
    const first = await limiter.admit(acme, scopes, 70);
    clock.now += 10_000;
    await limiter.admit(acme, scopes, 30);
    expect(await limiter.admit(acme, scopes, 50)).toMatchObject({ admitted: false, retryAfterMs: 50_000 });
    clock.now += 50_000;
    expect(await limiter.admit(acme, scopes, 50)).toMatchObject({
      admitted: true,
      tokens: { remaining: 20 },
    });
    if (first.admitted) first.settle(1_000);
    expect(await limiter.admit(acme, scopes, 20)).toMatchObject({ admitted: true, tokens: { remaining: 0 } });
  });
});

describe('concurrent requests', () => {
  test('places are given back once, however often they are released', async () => {
    const { limiter } = limiterAt();
    const scopes = tenantScope({ concurrent_requests: 2 });
    const first = await limiter.admit(acme, scopes);
    const second = await limiter.admit(acme, scopes);
    expect(await limiter.admit(acme, scopes)).toMatchObject({
      admitted: false,
      name: 'concurrent_requests',
      current: 2,
    });
    if (first.admitted) {
      first.release();
      first.release();
    }
    const third = await limiter.admit(acme, scopes);
    expect(third.admitted).toBe(true);
    expect(await limiter.admit(acme, scopes)).toMatchObject({ admitted: false });
    if (second.admitted) second.release();
    if (third.admitted) third.release();
  });
});

test('idle tenants are forgotten, busy ones are not', async () => {
  const { clock, limiter } = limiterAt();
  const scopes = tenantScope({ requests_per_minute: 5 });
  const contexts: TenantContext[] = Array.from({ length: 500 }, (_, i) => testContext(`tenant-${i}`));
  for (const context of contexts) {
    const decision = await limiter.admit(context, scopes);
    if (decision.admitted && context !== contexts[7]) decision.release();
  }
  expect(limiter.size).toBe(500);
  clock.now += MINUTE;
  for (let i = 0; i < 600; i++) {
    clock.now += MINUTE;
    const decision = await limiter.admit(acme, scopes);
    if (decision.admitted) decision.release();
  }
  // acme, and the one that still holds a place.
  expect(limiter.size).toBe(2);
});

test('no limits: always admitted, nothing kept', async () => {
  const { clock, limiter } = limiterAt();
  for (let i = 0; i < 1_000; i++) {
    clock.now += 1;
    const decision = await limiter.admit(acme, tenantScope({}));
    expect(decision).toMatchObject({ admitted: true, state: null });
    if (decision.admitted) decision.release();
  }
});
