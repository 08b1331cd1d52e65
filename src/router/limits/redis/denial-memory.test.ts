import { describe, expect, it } from 'vitest';
import { summarise } from '#router/limits/limit-states.ts';
import type { LimitDenied, LimitScope } from '#router/limits/rate-limiter.ts';
import { DenialMemory } from '#router/limits/redis/denial-memory.ts';

const scopesOf = (requestsPerMinute: number): LimitScope[] => [
  {
    scope: 'tenant',
    limits: {
      requests_per_minute: requestsPerMinute,
      requests_per_hour: null,
      tokens_per_minute: 1_000,
      concurrent_requests: 5,
    },
  },
];
const minute = { windowMs: 60_000, resetMs: 60_000, nextMs: 300 };
const denied: LimitDenied = {
  admitted: false,
  name: 'requests_per_minute',
  scope: 'tenant',
  limit: 10,
  current: 10,
  retryAfterMs: 5_000,
  ...summarise([
    { ...minute, scope: 'tenant', name: 'requests_per_minute', limit: 10, remaining: 0 },
    { ...minute, scope: 'tenant', name: 'tokens_per_minute', limit: 1_000, remaining: 900 },
  ]),
};

function memoryAt() {
  const clock = { now: 1_000 };
  return { clock, memory: new DenialMemory(() => clock.now) };
}

describe('a memory of denials', () => {
  it('repeats a fresh denial with its times counted from now', () => {
    const { clock, memory } = memoryAt();
    memory.remember(scopesOf(10), ['acme'], denied, clock.now);
    clock.now += 400;
    expect(memory.find(scopesOf(10), ['acme'], false)).toEqual({
      ...denied,
      retryAfterMs: 4_600,
      ...summarise(denied.states.map((state) => ({ ...state, resetMs: 59_600, nextMs: 0 }))),
    });
  });

  it('tells a user nothing of where another of the tenant stands', () => {
    const { clock, memory } = memoryAt();
    const [tenant] = scopesOf(10);
    if (tenant === undefined) throw new Error('There is no scope.');
    const scopes: LimitScope[] = [tenant, { ...tenant, scope: 'user' }];
    const ofAlice = {
      ...minute,
      scope: 'user',
      name: 'requests_per_minute',
      limit: 10,
      remaining: 0,
    } as const;
    const states = [...denied.states, { ...ofAlice, resetMs: 70_000 }];
    memory.remember(scopes, ['acme', 'acme:alice'], { ...denied, ...summarise(states) }, clock.now);
    const toBob = memory.find(scopes, ['acme', 'acme:bob'], false);
    expect(toBob?.states.map(({ scope }) => scope)).toEqual(['tenant', 'tenant']);
    expect(toBob?.state).toMatchObject({ scope: 'tenant', resetMs: 60_000 });
    expect(toBob?.tokens).toMatchObject({ scope: 'tenant', remaining: 900 });
    expect(memory.find(scopes, ['acme', 'acme:alice'], false)?.states).toHaveLength(3);
  });

  it('asks again after a second, but in an outage holds to what was said until it runs out', () => {
    const { clock, memory } = memoryAt();
    memory.remember(scopesOf(10), ['acme'], denied, clock.now);
    clock.now += 1_000;
    expect(memory.find(scopesOf(10), ['acme'], false)).toBeUndefined();
    expect(memory.find(scopesOf(10), ['acme'], true)?.retryAfterMs).toBe(4_000);
    clock.now += 4_000;
    expect(memory.find(scopesOf(10), ['acme'], true)).toBeUndefined();
  });

  it('does not apply to another tenant, nor to a limit that was changed', () => {
    const { clock, memory } = memoryAt();
    memory.remember(scopesOf(10), ['acme'], denied, clock.now);
    expect(memory.find(scopesOf(10), ['globex'], false)).toBeUndefined();
    expect(memory.find(scopesOf(11), ['acme'], false)).toBeUndefined();
    const hourly = scopesOf(10).map((scope) => ({
      ...scope,
      limits: { ...scope.limits, requests_per_minute: null, requests_per_hour: 10 },
    }));
    expect(memory.find(hourly, ['acme'], false)).toBeUndefined();
  });

  it('forgets tokens and places at once: they can be given back at any time', () => {
    const { clock, memory } = memoryAt();
    for (const name of ['tokens_per_minute', 'concurrent_requests'] as const) {
      memory.remember(
        scopesOf(10),
        ['acme'],
        { ...denied, name, limit: name === 'tokens_per_minute' ? 1_000 : 5 },
        clock.now,
      );
    }
    expect(memory.find(scopesOf(10), ['acme'], true)).toBeUndefined();
  });

  it('keeps a bounded number', () => {
    const { clock, memory } = memoryAt();
    for (let i = 0; i < 20_000; i++) {
      memory.remember(scopesOf(10), [`tenant-${i}`], denied, clock.now);
    }
    expect(memory.find(scopesOf(10), ['tenant-0'], true)).toBeUndefined();
    expect(memory.find(scopesOf(10), ['tenant-10000'], true)).toBeDefined();
  });
});
