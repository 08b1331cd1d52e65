import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorBodyOf } from '#test/support/error-body-of.ts';
import { createRouterFixture, endless, type TurnScript, threeWords } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let alice: { authorization: string };
let at = Date.UTC(2026, 10, 23, 12);

beforeAll(async () => {
  fixture = await createRouterFixture({ now: () => at });
  alice = await fixture.keyOf('acme');
  for (const tenant of ['acme', 'globex']) {
    await fixture.setConfig(tenant, { rate_limits: { requests_per_minute: null, requests_per_hour: null } });
  }
});
afterAll(() => fixture.close());

const ask = (headers: object = alice, payload: object = {}) =>
  fixture.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    headers: { ...headers },
    payload: {
      model: 'bulkhead-chat',
      max_tokens: 1,
      messages: [{ role: 'user', content: 'hi' }],
      ...payload,
    },
  });
const admin = (method: 'GET' | 'PUT', url: string, payload?: object, headers: object = fixture.operator) =>
  fixture.app.inject({ method, url, headers: { ...headers }, ...(payload === undefined ? {} : { payload }) });
const price = (model: string, prompt: number, completion: number, effective_from?: string) => ({
  model,
  usd_per_million_prompt_tokens: prompt,
  usd_per_million_completion_tokens: completion,
  ...(effective_from === undefined ? {} : { effective_from }),
});
const lastRow = async () => (await fixture.usageRows()).at(-1);
const spentOf = async (tenant: string) => {
  const { data } = (await admin('GET', `/admin/usage?tenant_id=${tenant}`)).json();
  return data[0]?.cost_usd_estimate ?? 0;
};

describe('prices', () => {
  test('without any, those of the settings count', async () => {
    expect((await ask()).statusCode).toBe(200);
    // 7 prompt tokens at $1 a million, 3 of the answer at $2.
    expect(await lastRow()).toMatchObject({ price_version: null, cost_usd: '0.000013000' });
  });

  test('a model’s own price counts, then that of any model, each from its time on', async () => {
    const later = new Date(at + 3_600_000).toISOString();
    const put = await admin('PUT', '/admin/prices', {
      prices: [price('default-model', 10, 0), price('default-model', 100, 0, later), price('*', 0, 1000)],
    });
    expect(put.statusCode, put.body).toBe(200);
    const [own, ownLater, other] = put.json().data;
    await ask();
    expect(await lastRow()).toMatchObject({ price_version: own.version, cost_usd: '0.000070000' });
    await ask(alice, { model: 'org/model-a' });
    expect(await lastRow()).toMatchObject({ price_version: other.version, cost_usd: '0.003000000' });
    at += 3_600_000;
    await ask();
    expect(await lastRow()).toMatchObject({ price_version: ownLater.version, cost_usd: '0.000700000' });
    const listed = (await admin('GET', '/admin/prices')).json().data;
    expect(listed).toHaveLength(3);
    // The one that was added last first.
    expect(listed[0]).toMatchObject({ model: '*', usd_per_million_completion_tokens: 1000 });
    const rest = (await admin('GET', `/admin/prices?limit=1&after=${listed[0].version}`)).json();
    expect(rest).toMatchObject({ data: [{ model: 'default-model' }], has_more: true });
    const { data } = (await admin('GET', '/admin/audit')).json();
    expect(data.map(({ action }: { action: string }) => action)).toContain('prices.added');
  });

  test('are for operators, are never changed, and never of the past', async () => {
    const acmeAdmin = await fixture.keyOf('acme', 'ada', 'admin');
    for (const headers of [alice, acmeAdmin]) {
      expect((await admin('GET', '/admin/prices', undefined, headers)).statusCode).toBe(403);
      expect((await admin('PUT', '/admin/prices', { prices: [price('x', 1, 1)] }, headers)).statusCode).toBe(
        403,
      );
    }
    const yesterday = new Date(at - 86_400_000).toISOString();
    const past = await admin('PUT', '/admin/prices', {
      prices: [price('x', 1, 1), price('x', 1, 1, yesterday)],
    });
    expect([past.statusCode, errorBodyOf(past).param]).toEqual([400, 'prices.1.effective_from']);
    const soon = new Date(at + 60_000).toISOString();
    expect((await admin('PUT', '/admin/prices', { prices: [price('x', 1, 1, soon)] })).statusCode).toBe(200);
    const again = await admin('PUT', '/admin/prices', { prices: [price('y', 1, 1), price('x', 2, 2, soon)] });
    expect(again.statusCode).toBe(409);
    // All or none.
    const models = (await admin('GET', '/admin/prices'))
      .json()
      .data.map(({ model }: { model: string }) => model);
    expect(models).not.toContain('y');
    for (const bad of [
      price('', 1, 1),
      price('a\0', 1, 1),
      price('x', -1, 1),
      price('x', 1e12, 1),
      { model: 'x' },
    ]) {
      expect((await admin('PUT', '/admin/prices', { prices: [bad] })).statusCode).toBe(400);
    }
  });
});

describe('a budget', () => {
  test('lets turns pass until it is spent, then says what is spent and when it starts again', async () => {
    const globex = await fixture.keyOf('globex');
    // A turn costs $0.0007.
    await fixture.setConfig('globex', { budget_usd_per_month: 0.0021 });
    const statuses = [];
    for (let turn = 0; turn < 5; turn++) statuses.push((await ask(globex)).statusCode);
    expect(statuses).toEqual([200, 200, 200, 429, 429]);
    const refused = await ask(globex);
    expect(refused.headers['x-should-retry']).toBe('false');
    expect(errorBodyOf(refused)).toMatchObject({
      code: 'budget_exceeded',
      type: 'insufficient_quota',
      refusal: {
        policy: 'budget_usd_per_month',
        limit: 0.0021,
        current: 0.0021,
        resets_at: '2026-12-01T00:00:00.000Z',
      },
    });
    expect(await lastRow()).toMatchObject({
      outcome: 'refused',
      refusal_reason: 'budget_exceeded',
      cost_usd: '0.000000000',
    });
    expect(await spentOf('globex')).toBe(0.0021);
    // What costs nothing goes on, and so do other tenants.
    expect((await fixture.app.inject({ url: '/v1/usage', headers: globex })).statusCode).toBe(200);
    expect((await ask()).statusCode).toBe(200);
  });

  test('is refused before a stream begins, and is free again when it is raised or the month ends', async () => {
    const globex = await fixture.keyOf('globex');
    expect((await ask(globex, { stream: true })).statusCode).toBe(429);
    await fixture.setConfig('globex', { budget_usd_per_month: 0.0022 });
    expect((await ask(globex)).statusCode).toBe(200);
    expect((await ask(globex)).statusCode).toBe(429);
    const before = at;
    at = Date.UTC(2026, 11, 1);
    expect((await ask(globex)).statusCode).toBe(200);
    at = before;
    await fixture.setConfig('globex', { budget_usd_per_month: 0 });
    expect((await ask(globex)).statusCode).toBe(429);
    await fixture.setConfig('globex', { budget_usd_per_month: null });
    expect((await ask(globex)).statusCode).toBe(200);
  });

  test('holds what turns under way may cost, and gives back what they did not', async () => {
    const headers = await fixture.keyOf('acme', 'bob');
    const spent = await spentOf('acme');
    await admin('PUT', '/admin/prices', { prices: [price('*', 0, 1_000_000), price('m', 0, 1_000_000)] });
    at += 1;
    // 1,000 tokens of an answer at a dollar each.
    await fixture.setConfig('acme', { budget_usd_per_month: spent + 900 });
    const started = Promise.withResolvers<void>();
    const waiting: TurnScript = async function* (context, request, signal) {
      started.resolve();
      yield* endless(context, request, signal);
    };
    fixture.script.turn = waiting;
    const url = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
    const leaving = new AbortController();
    const long = fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'org/x',
        max_tokens: 1_000,
        messages: [{ role: 'user', content: 'hi' }],
      }),
      signal: leaving.signal,
    });
    long.catch(() => undefined);
    await started.promise;
    fixture.script.turn = threeWords;
    const refused = await ask(headers, { model: 'org/x' });
    expect(refused.statusCode).toBe(429);
    expect(errorBodyOf(refused).message).toContain('held for turns under way');
    leaving.abort();
    let status = 429;
    for (let tries = 0; tries < 500 && status === 429; tries++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
      status = (await ask(headers, { model: 'org/x' })).statusCode;
    }
    expect(status).toBe(200);
  });
});
