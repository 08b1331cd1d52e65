import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { createMemoryRateLimiter } from '#router/limits/memory-rate-limiter.ts';
import { createRouterFixture, seamRag, type TurnScript, threeWords } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
/** What the embedding model does before it answers. */
let embed: (signal: AbortSignal) => Promise<void> = async () => {};
beforeAll(async () => {
  const rag = seamRag();
  fixture = await createRouterFixture({
    rag: {
      ...rag,
      async embedTexts(context, request, signal) {
        await embed(signal);
        return rag.embedTexts(context, request, signal);
      },
    },
  });
});
afterAll(() => fixture.close());

/** The beginning of a turn. */
const startOf: TurnScript = async function* (context, request, signal) {
  for await (const event of threeWords(context, request, signal)) {
    yield event;
    if (event.type === 'started') return;
  }
};

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

describe('a model that was given a text and could not tell what it took', () => {
  const LIMIT = 20_000;
  const TEXT = 'x '.repeat(4_000);
  let url: string;
  beforeAll(async () => {
    url = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
    const rate_limits = { tokens_per_minute: null, per_user: { tokens_per_minute: LIMIT } };
    await fixture.setConfig('globex', { rate_limits });
  });
  /** As a request of so many bytes holds them. */
  const tokensOf = (body: object) => Math.ceil(JSON.stringify(body).length / 4);
  /** What the user has used, by the headers of one more turn. */
  const usedBy = async (headers: Record<string, string>) => {
    fixture.script.turn = threeWords;
    const payload = { model: 'bulkhead-chat', messages: [{ role: 'user', content: 'hi' }], max_tokens: 1 };
    const { headers: told } = await ask(headers, payload);
    return LIMIT - Number(told['x-ratelimit-remaining-tokens']) - tokensOf(payload) - 1;
  };
  async function leave(
    headers: Record<string, string>,
    path: string,
    body: object,
    isAsked: Promise<unknown>,
  ): Promise<void> {
    const leaving = new AbortController();
    const answer = fetch(`${url}${path}`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: leaving.signal,
    });
    answer.catch(() => undefined);
    await isAsked;
    const before = (await fixture.usageRows()).length;
    leaving.abort();
    await expect.poll(async () => (await fixture.usageRows()).length).toBeGreaterThan(before);
  }
  const chat = { model: 'bulkhead-chat', messages: [{ role: 'user', content: TEXT }], max_tokens: 1 };

  test.each([false, true])('counts when its client leaves, streamed: %s', async (stream) => {
    const headers = await fixture.keyOf('globex', `leaves-${stream}`);
    const { promise, resolve } = Promise.withResolvers<void>();
    fixture.script.turn = async function* (context, request, signal) {
      yield* startOf(context, request, signal);
      yield { type: 'asked', attempts: 1 };
      resolve();
      await delay(60_000, undefined, { signal });
    };
    const body = { ...chat, stream };
    await leave(headers, '/v1/chat/completions', body, promise);
    expect(await usedBy(headers)).toBe(tokensOf(body));
  });

  test('counts what it has told, and no more, where it tells as it goes', async () => {
    const headers = await fixture.keyOf('globex', 'told');
    const { promise, resolve } = Promise.withResolvers<void>();
    fixture.script.turn = async function* (context, request, signal) {
      yield* startOf(context, request, signal);
      yield { type: 'asked', attempts: 1 };
      const token_usage = { prompt_tokens: 1_234, completion_tokens: 1, total_tokens: 1_235 };
      yield { type: 'delta', text: 'one ', token_usage };
      resolve();
      await delay(60_000, undefined, { signal });
    };
    await leave(headers, '/v1/chat/completions', chat, promise);
    expect(await usedBy(headers)).toBe(1_235);
  });

  test('counts nothing before it is asked, and where it fails', async () => {
    const headers = await fixture.keyOf('globex', 'fails');
    const { promise, resolve } = Promise.withResolvers<void>();
    fixture.script.turn = async function* (context, request, signal) {
      yield* startOf(context, request, signal);
      resolve();
      await delay(60_000, undefined, { signal });
    };
    await leave(headers, '/v1/chat/completions', chat, promise);
    fixture.script.turn = async function* (context, request, signal) {
      yield* startOf(context, request, signal);
      yield { type: 'asked', attempts: 1 };
      throw new BulkheadError('engine_error', 'The engine fails.');
    };
    expect((await ask(headers, chat)).statusCode).toBe(502);
    expect(await usedBy(headers)).toBe(0);
  });

  test('counts texts that were being embedded', async () => {
    const headers = await fixture.keyOf('globex', 'embeds');
    const { promise, resolve } = Promise.withResolvers<void>();
    embed = async (signal) => {
      resolve();
      await delay(60_000, undefined, { signal });
    };
    await leave(headers, '/v1/embeddings', { model: 'bulkhead-embed', input: [TEXT] }, promise);
    embed = async () => {};
    expect(await usedBy(headers)).toBe(TEXT.length / 4);
  });
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
