import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { usageReportSchema } from '#app/schemas/usage.ts';
import { errorBodyOf } from '#test/support/error-body-of.ts';
import { createRouterFixture, seamRag, type TurnScript, threeWords } from '#test/support/router-fixture.ts';

// Prompts that a model read for a client that left before the model had counted them. A prompt token costs $1 a million.

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let url: string;
let embed: (signal: AbortSignal) => Promise<void> = async () => {};
const rate_limits = { requests_per_minute: null, requests_per_hour: null, tokens_per_minute: null };

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
  for (const tenant of ['acme', 'globex']) await fixture.setConfig(tenant, { rate_limits });
  url = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => fixture.close());

const body = {
  model: 'bulkhead-chat',
  max_tokens: 1,
  messages: [{ role: 'user', content: 'x '.repeat(4_000) }],
};
const PROMPT = Math.ceil(JSON.stringify(body).length / 4);
const post = (headers: Record<string, string>, path = '/v1/chat/completions', payload: object = body) => ({
  method: 'POST',
  headers: { ...headers, 'content-type': 'application/json' },
  body: JSON.stringify(payload),
  path,
});

/** Gives the model its prompt, then tells of `told` tokens of it, then nothing. */
const silentAfter = (told: number, onAsked: () => void): TurnScript =>
  async function* (context, request, signal) {
    for await (const event of threeWords(context, request, signal)) {
      yield event;
      if (event.type === 'started') break;
    }
    yield { type: 'asked', attempts: 1 };
    const token_usage = { prompt_tokens: told, completion_tokens: 1, total_tokens: told + 1 };
    if (told > 0) yield { type: 'delta', text: 'one ', token_usage };
    onAsked();
    await delay(60_000, undefined, { signal });
  };

/** Sends a request, leaves when `reached` says so, and returns its row. */
async function leave(request: ReturnType<typeof post>, reached: Promise<void>) {
  const before = (await fixture.usageRows()).length;
  const leaving = new AbortController();
  fetch(`${url}${request.path}`, { ...request, signal: leaving.signal }).catch(() => undefined);
  await reached;
  leaving.abort();
  let rows: Awaited<ReturnType<typeof fixture.usageRows>> = [];
  await expect
    .poll(async () => {
      rows = await fixture.usageRows();
      return rows.length;
    })
    .toBe(before + 1);
  return rows.at(-1);
}

async function leaveAfter(told: number, headers: Record<string, string>) {
  const { promise, resolve } = Promise.withResolvers<void>();
  fixture.script.turn = silentAfter(told, resolve);
  return leave(post(headers), promise);
}

test('cost what their length says, and are in no count of tokens', async () => {
  const headers = await fixture.keyOf('acme', 'leaves');
  expect(await leaveAfter(0, headers)).toMatchObject({
    outcome: 'aborted',
    prompt_tokens: 0,
    completion_tokens: 0,
    estimated_prompt_tokens: PROMPT,
    cost_usd: (PROMPT / 1e6).toFixed(9),
  });
  const report = await fixture.app.inject({ url: '/v1/usage', headers });
  const expected = {
    token_usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
    estimated_prompt_tokens: PROMPT,
    cost_usd_estimate: PROMPT / 1e6,
  };
  const { totals, by_route, data } = usageReportSchema.parse(report.json());
  expect(totals).toMatchObject(expected);
  expect(by_route).toMatchObject([expected]);
  expect(data).toMatchObject([expected]);
});

test('that the model has counted are estimated no more', async () => {
  const headers = await fixture.keyOf('acme', 'told');
  expect(await leaveAfter(1_234, headers)).toMatchObject({
    prompt_tokens: 1_234,
    completion_tokens: 1,
    estimated_prompt_tokens: 0,
    cost_usd: (1_236 / 1e6).toFixed(9),
  });
});

test('cost nothing where the engine failed', async () => {
  const headers = await fixture.keyOf('acme', 'fails');
  fixture.script.turn = async function* (context, request, signal) {
    for await (const event of threeWords(context, request, signal)) {
      yield event;
      if (event.type === 'started') break;
    }
    yield { type: 'asked', attempts: 1 };
    throw new BulkheadError('engine_error', 'The engine fails.');
  };
  const response = await fetch(`${url}/v1/chat/completions`, post(headers));
  expect(response.status).toBe(502);
  await response.text();
  expect((await fixture.usageRows()).at(-1)).toMatchObject({
    outcome: 'error',
    estimated_prompt_tokens: 0,
    cost_usd: '0.000000000',
  });
});

test('are estimated for texts to embed as well', async () => {
  const headers = await fixture.keyOf('acme', 'embeds');
  const { promise, resolve } = Promise.withResolvers<void>();
  embed = async (signal) => {
    resolve();
    await delay(60_000, undefined, { signal });
  };
  const text = 'x '.repeat(4_000);
  const row = await leave(post(headers, '/v1/embeddings', { model: 'bulkhead-embed', input: text }), promise);
  embed = async () => {};
  expect(row).toMatchObject({
    route: 'embeddings',
    prompt_tokens: 0,
    estimated_prompt_tokens: text.length / 4,
    cost_usd: (text.length / 4e6).toFixed(9),
  });
});

test('spend a budget: who always leaves first is stopped like everybody else', async () => {
  const headers = await fixture.keyOf('globex', 'eve');
  await fixture.setConfig('globex', { budget_usd_per_month: (2.5 * PROMPT) / 1e6 });
  for (let turn = 0; turn < 3; turn++) {
    expect(await leaveAfter(0, headers)).toMatchObject({ estimated_prompt_tokens: PROMPT });
  }
  fixture.script.turn = threeWords;
  const refused = await fixture.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    headers,
    payload: body,
  });
  expect(refused.statusCode).toBe(429);
  expect(errorBodyOf(refused)).toMatchObject({
    code: 'budget_exceeded',
    refusal: { current: (3 * PROMPT) / 1e6 },
  });
});
