import { afterAll, beforeAll, expect, test } from 'vitest';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import { createRouterFixture, threeWords } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
beforeAll(async () => {
  fixture = await createRouterFixture();
});
afterAll(() => fixture.close());

const ask = (headers: Record<string, string>, payload: Record<string, unknown> = {}) =>
  fixture.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    headers,
    payload: { model: 'bulkhead-chat', messages: [{ role: 'user', content: 'hi' }], ...payload },
  });

test('a turn holds its estimate while it runs and its true tokens afterwards', async () => {
  await fixture.setConfig('acme', { rate_limits: { tokens_per_minute: 60 } });
  const headers = await fixture.keyOf('acme');
  const held = Promise.withResolvers<void>();
  fixture.script.turn = async function* (context, request, signal) {
    await held.promise;
    yield* threeWords(context, request, signal);
  };
  // The answer is said to be one token; the prompt is held all the same.
  const running = ask(headers, { max_tokens: 1, messages: [{ role: 'user', content: 'x'.repeat(2_000) }] });
  await expect.poll(() => fixture.turns.length).toBeGreaterThan(0);

  const denied = await ask(headers, { max_tokens: 1 });
  expect(denied.statusCode).toBe(429);
  expect(denied.json().error).toMatchObject({
    code: 'rate_limit_exceeded',
    refusal: { policy: 'rate_limits.tokens_per_minute', limit: 60, current: 60 },
  });
  expect(denied.headers).toMatchObject({
    'x-ratelimit-limit-tokens': '60',
    'x-ratelimit-remaining-tokens': '0',
  });
  expect(Number(denied.headers['retry-after'])).toBeGreaterThan(0);
  held.resolve();
  expect((await running).headers['x-ratelimit-remaining-tokens']).toBe('0');
});

test('what a turn really used counts, however little it reserved', async () => {
  await fixture.setConfig('globex', { rate_limits: { tokens_per_minute: 25 } });
  const headers = await fixture.keyOf('globex', 'bob');
  fixture.script.turn = threeWords;
  const statuses = [];
  for (let i = 0; i < 4; i++) statuses.push((await ask(headers, { max_tokens: 1 })).statusCode);
  // Each holds 25 (its estimate, capped at the limit) and settles at 10: after the first nothing fits beside it.
  expect(statuses).toEqual([200, 429, 429, 429]);
});

test.each([
  [
    '/v1/chat/completions',
    { messages: [{ role: 'user', content: 'hi' }] },
    'max_tokens',
    'max_output_tokens',
  ],
  ['/v1/completions', { prompt: 'hi' }, 'max_tokens', 'max_completion_tokens'],
  ['/v1/responses', { input: 'hi' }, 'max_output_tokens', 'max_completion_tokens'],
])('what %s does not read makes no long answer look short', async (url, body, read, ignored) => {
  await fixture.setConfig('globex', { rate_limits: { tokens_per_minute: 5_000 } });
  const headers = await fixture.keyOf('globex', ignored);
  const payload = { model: 'bulkhead-chat', ...body, [read]: 4_000, [ignored]: 1 };
  const held = Promise.withResolvers<void>();
  fixture.script.turn = async function* (context, request, signal) {
    await held.promise;
    yield* threeWords(context, request, signal);
  };
  const before = fixture.turns.length;
  const running = fixture.app.inject({ method: 'POST', url, headers, payload });
  await expect.poll(() => fixture.turns.length).toBeGreaterThan(before);
  const denied = await fixture.app.inject({ method: 'POST', url, headers, payload });
  held.resolve();
  await running;
  expect([denied.statusCode, denied.json().error.refusal.policy]).toEqual([
    429,
    'rate_limits.tokens_per_minute',
  ]);
});

test('a refused or failed request gives its tokens back', async () => {
  await fixture.setConfig('globex', { rate_limits: { tokens_per_minute: 10_000 } });
  const headers = await fixture.keyOf('globex', 'carol');
  const before = await ask(headers, { max_tokens: 5 });
  await ask(headers, { max_tokens: 5, n: 3 });
  const after = await ask(headers, { max_tokens: 5 });
  const remaining = (response: typeof before) => Number(response.headers['x-ratelimit-remaining-tokens']);
  // Only the ten tokens of the turn between them are gone.
  expect(remaining(before) - remaining(after)).toBe(10);
});

test('a client that leaves while the limiter decides holds neither place nor tokens', async () => {
  const asked = Promise.withResolvers<void>();
  const left = Promise.withResolvers<void>();
  const memory = createMemoryRateLimiter({ monotonicNow: () => performance.now() });
  const states: { settled: number | null; released: boolean }[] = [];
  const slow = await createRouterFixture({
    limiter: {
      async admit(...request) {
        asked.resolve();
        await left.promise;
        const decision = await memory.admit(...request);
        if (!decision.admitted) return decision;
        const state: (typeof states)[number] = { settled: null, released: false };
        states.push(state);
        return {
          ...decision,
          settle(tokens) {
            state.settled = tokens;
            decision.settle(tokens);
          },
          release() {
            state.released = true;
            decision.release();
          },
        };
      },
    },
  });
  try {
    await slow.setConfig('acme', { rate_limits: { tokens_per_minute: 1_000, concurrent_requests: 1 } });
    const url = await slow.app.listen({ host: '127.0.0.1', port: 0 });
    const leaving = new AbortController();
    const answer = fetch(`${url}/v1/chat`, {
      method: 'POST',
      headers: { ...(await slow.keyOf('acme')), 'content-type': 'application/json' },
      body: JSON.stringify({ message: 'hello' }),
      signal: leaving.signal,
    });
    answer.catch(() => undefined);
    await asked.promise;
    leaving.abort();
    // Its row says that the router has noticed.
    await expect.poll(() => slow.usageRows()).toMatchObject([{ outcome: 'aborted' }]);
    left.resolve();
    await expect.poll(() => states).toEqual([{ settled: 0, released: true }]);
    expect(slow.turns).toEqual([]);
  } finally {
    left.resolve();
    await slow.close();
  }
});
