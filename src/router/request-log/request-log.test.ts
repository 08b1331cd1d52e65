import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Database } from '#app/database/database.ts';
import { firstIdAt, newRequestId, sortableId, timeOfId } from '#app/ids.ts';
import {
  type RequestLogDetail,
  requestLogDetailSchema,
  requestLogPageSchema,
} from '#app/schemas/request-log.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { silentLogger } from '#observability/logger.ts';
import { type GuardrailModels, loadGuardrailModels } from '#router/guardrails/load-models.ts';
import { formatApiKey, newApiKey } from '#router/identity/api-key.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';
import { createRequestLogExpiry } from '#router/request-log/expire-requests.ts';
import { KeptAnswer, MAX_KEPT_CHARACTERS } from '#router/request-log/explanation.ts';
import { createRedactText } from '#router/request-log/redact-text.ts';
import { createRequestLog, type RequestRow } from '#router/request-log/request-log.ts';
import { createRequestLogStore } from '#router/request-log/request-log-store.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { createTestDatabase } from '#test/support/create-test-database.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';
import { insertTestTenant, testContext } from '#test/support/test-context.ts';

const EVERYTHING = {
  from: null,
  to: null,
  outcome: null,
  user: null,
  route: null,
  model: null,
  refusal: null,
};
const acme = testContext('acme', 'root', 'admin');
const policy = compilePolicy(
  tenantConfigSchema.parse({
    tenant_id: 'acme',
    display_name: 'acme',
    sensitive_patterns: [{ name: 'project', pattern: 'bluebird', action: 'flag' }],
  }),
  1,
);

let models: GuardrailModels;
let open: Awaited<ReturnType<typeof createTestDatabase>>;
beforeAll(async () => {
  models = await loadGuardrailModels();
  open = await createTestDatabase();
  for (const tenant of ['acme', 'globex']) await insertTestTenant(open.database, tenant);
});
afterAll(() => open.close());

function rowOf(context = acme, fields: Partial<RequestRow> = {}): RequestRow {
  return {
    request_id: newRequestId(),
    tenant_id: context.tenantId,
    user_id: context.userId,
    route: 'rag',
    model: 'extractive',
    status: 200,
    outcome: 'ok',
    refusal_reason: null,
    latency_ms: 12.5,
    decision: {
      method: 'POST',
      path: '/v1/chat',
      auth: { method: 'api_key', key_id: 'k', issuer: null, role: 'member' },
      policy: {
        config_version: 1,
        verdict: 'allowed',
        rule: null,
        param: null,
        flags: [],
        model: null,
        tools: [],
        tools_complete: true,
      },
      limits: null,
      retrieval: null,
      engine: null,
      token_usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 },
      estimated_prompt_tokens: 0,
      timings: {
        auth_ms: 0,
        limits_ms: null,
        policy_ms: null,
        retrieve_ms: null,
        generate_ms: null,
        total_ms: 12.5,
      },
      trace: null,
      error_code: null,
    },
    kept: null,
    ...fields,
  };
}

const newLog = (database: Database, options: { maxWaiting?: number } = {}) =>
  createRequestLog({
    database,
    logger: silentLogger,
    redact: createRedactText(models),
    flushMs: 5,
    ...options,
  });

describe('the writer', () => {
  test('writes what it is given, by tenant, and pages it newest first', async () => {
    const log = newLog(open.database);
    const rows = Array.from({ length: 25 }, (_, index) =>
      rowOf(acme, { request_id: `req_${sortableId(1_700_000_000_000 + index)}` as RequestRow['request_id'] }),
    );
    for (const row of rows) log.record(row);
    log.record(rowOf(testContext('globex', 'root', 'admin')));
    // A tenant that is gone costs the others nothing.
    log.record(rowOf(testContext('nobody')));
    await log.flush();
    const store = createRequestLogStore({ database: open.database });
    const first = await store.list(acme, EVERYTHING, { limit: 10 });
    expect(first.data.map(({ request_id }) => request_id)).toEqual(
      rows
        .slice(-10)
        .map(({ request_id }) => request_id)
        .reverse(),
    );
    expect(first.has_more).toBe(true);
    const rest = await store.list(acme, EVERYTHING, { limit: 100, after: first.last_id ?? '' });
    expect(rest.data).toHaveLength(15);
    expect(rest.data[0]?.created_at).toBe(new Date(1_700_000_000_014).toISOString());
    const range = { from: new Date(1_700_000_000_003), to: new Date(1_700_000_000_006) };
    const between = await store.list(acme, { ...EVERYTHING, ...range }, { limit: 100 });
    expect(between.data.map(({ request_id }) => timeOfId(request_id))).toEqual([
      1_700_000_000_005, 1_700_000_000_004, 1_700_000_000_003,
    ]);
    const foreign = await store.list(testContext('globex'), EVERYTHING, { limit: 100 });
    expect(foreign.data.map(({ tenant_id }) => tenant_id)).toEqual(['globex']);
    await expect(
      store.get(testContext('globex'), rows[0]?.request_id ?? newRequestId()),
    ).rejects.toMatchObject({ code: 'not_found' });
    await log.close(1_000);
  });

  test('drops and counts what is too much, and keeps what waits for the database', async () => {
    let away = true;
    const database: Database = {
      ...open.database,
      asSystem: (work) => (away ? Promise.reject(new Error('away')) : open.database.asSystem(work)),
    };
    const log = newLog(database, { maxWaiting: 5 });
    const user = testContext('acme', 'patient');
    for (let i = 0; i < 6; i++) log.record(rowOf(user));
    expect(log.counts).toEqual({ written: 0, dropped: 2, waiting: 4 });
    // However many rows one tenant has, there is room for another's.
    log.record(rowOf(testContext('globex', 'patient')));
    expect(log.counts).toEqual({ written: 0, dropped: 2, waiting: 5 });
    const flushed = log.flush();
    away = false;
    await flushed;
    expect(log.counts).toMatchObject({ dropped: 2, waiting: 0 });
    const store = createRequestLogStore({ database: open.database });
    const { data } = await store.list(acme, { ...EVERYTHING, user: 'patient' }, { limit: 100 });
    expect(data).toHaveLength(4);
    await log.close(1_000);
    log.record(rowOf(user));
    expect(log.counts.dropped).toBe(3);
  });

  test('a database that stays away holds up no shutdown', async () => {
    const database: Database = { ...open.database, asSystem: () => Promise.reject(new Error('away')) };
    const log = newLog(database);
    log.record(rowOf());
    await log.close(50);
    expect(log.counts).toEqual({ written: 0, dropped: 1, waiting: 0 });
  });

  test('stores what clients write into names, and loses only the row that cannot be stored', async () => {
    const log = newLog(open.database);
    const odd = rowOf(acme, { model: 'a\0b\ud800', user_id: testContext('acme', 'odd').userId });
    log.record(odd);
    log.record(rowOf(acme, { status: 2 ** 40 }));
    log.record(rowOf(acme, { user_id: odd.user_id, model: 'fine' }));
    await log.flush();
    const store = createRequestLogStore({ database: open.database });
    const { data } = await store.list(acme, { ...EVERYTHING, user: 'odd' }, { limit: 10 });
    expect(data.map(({ model }) => model).sort()).toEqual(['a\ufffdb\ufffd', 'fine']);
    expect(log.counts.dropped).toBe(1);
    await log.close(1_000);
  });
});

describe('bodies', () => {
  async function keep(text: string, answer = ''): Promise<RequestLogDetail> {
    const log = newLog(open.database);
    const kept = new KeptAnswer();
    kept.take(answer);
    const row = rowOf(acme, { kept: { texts: [{ text, param: 'message' }], answer: kept, policy } });
    log.record(row);
    await log.close(1_000);
    return createRequestLogStore({ database: open.database }).get(acme, row.request_id);
  }

  test.each([
    ['an address', 'write to ada@example.com now', 'write to [REDACTED:email] now'],
    ['a card', 'pay 4111 1111 1111 1111 now', 'pay [REDACTED:card_number] now'],
    ['no card', 'order 4111 1111 1111 1112 now', 'order 4111 1111 1111 1112 now'],
    ['a key', `use ${formatApiKey(newApiKey())} here`, 'use [REDACTED:bulkhead_key] here'],
    ['a tenant’s pattern', 'what is the bluebird plan', 'what is the [REDACTED:sensitive_patterns.0] plan'],
    [
      'a disguised pattern',
      'what is the ｂｌｕｅｂｉｒｄ plan',
      'what is the [REDACTED:sensitive_patterns.0] plan',
    ],
    ['a telephone', 'call +49 30 1234567 today', 'call [REDACTED:phone] today'],
    ['nothing', 'a plain question', 'a plain question'],
  ])('%s', async (name, text, expected) => {
    const { bodies } = await keep(text, text);
    expect(bodies).toEqual({
      texts: [{ param: 'message', text: expected }],
      answer: expected,
      complete: ['nothing', 'no card'].includes(name),
    });
  });

  test('are cut where they are long', async () => {
    const { bodies } = await keep('x '.repeat(MAX_KEPT_CHARACTERS), 'y '.repeat(MAX_KEPT_CHARACTERS));
    expect(bodies?.texts[0]?.text).toHaveLength(MAX_KEPT_CHARACTERS);
    expect(bodies?.answer).toHaveLength(MAX_KEPT_CHARACTERS);
    expect(bodies?.complete).toBe(false);
  });
});

test('rows go when their tenant no longer keeps them, and no others', async () => {
  const database = await createTestDatabase();
  const tenants = createTenantStore({ database: database.database });
  for (const [tenant_id, retention_days] of [
    ['short', 1],
    ['long', 30],
  ]) {
    await tenants.create(
      tenantConfigSchema.parse({ tenant_id, display_name: 'x', request_log: { retention_days } }),
      'test',
    );
  }
  const now = 1_700_000_000_000;
  const log = newLog(database.database);
  for (const tenant of ['short', 'long']) {
    for (const hours of [1, 23, 25, 24 * 29, 24 * 31]) {
      const request_id = `req_${sortableId(now - hours * 3_600_000)}` as RequestRow['request_id'];
      log.record(rowOf(testContext(tenant), { request_id }));
    }
  }
  await log.close(1_000);
  const expiry = createRequestLogExpiry({
    database: database.database,
    tenants,
    logger: silentLogger,
    now: () => now,
  });
  expect(await expiry.run()).toBe(4);
  expect(await expiry.run()).toBe(0);
  const store = createRequestLogStore({ database: database.database });
  const left = async (tenant: string) =>
    (await store.list(testContext(tenant), EVERYTHING, { limit: 10 })).data.map(
      ({ request_id }) => (now - timeOfId(request_id)) / 3_600_000,
    );
  expect([await left('short'), await left('long')]).toEqual([
    [1, 23],
    [1, 23, 25, 24 * 29],
  ]);
  expect(firstIdAt('req', now) > `req_${sortableId(now - 1)}`).toBe(true);
  expect(firstIdAt('req', now) < `req_${sortableId(now)}`).toBe(true);
  await expiry.close();
  await database.close();
});

describe('over the API', () => {
  let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
  beforeEach(async () => {
    fixture = await createRouterFixture();
  });
  afterEach(() => fixture.close());
  const get = (url: string, headers: Record<string, string>) => fixture.app.inject({ url, headers });

  /** Waits for the row: it is written when the answer has long been out. */
  async function detailOf(requestId: unknown, headers: Record<string, string>): Promise<RequestLogDetail> {
    for (;;) {
      const response = await get(`/admin/tenants/acme/requests/${requestId}`, headers);
      if (response.statusCode === 200) return requestLogDetailSchema.parse(response.json());
      expect(response.json()).toMatchObject({ code: 'not_found', param: 'request_id' });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  test('a request is explained to its tenant’s admin and to operators, and to nobody else', async () => {
    const [alice, admin, foreign] = await Promise.all([
      fixture.keyOf('acme', 'alice'),
      fixture.keyOf('acme', 'root', 'admin'),
      fixture.keyOf('globex', 'root', 'admin'),
    ]);
    const answered = await fixture.app.inject({
      method: 'POST',
      url: '/v1/chat',
      headers: alice,
      payload: { message: 'What is a hook, ada@example.com?' },
    });
    const requestId = answered.headers['x-request-id'];
    const row = await detailOf(requestId, fixture.operator);
    expect(row).toMatchObject({
      tenant_id: 'acme',
      user_id: 'alice',
      outcome: 'ok',
      status: 200,
      bodies: null,
      decision: {
        method: 'POST',
        path: '/v1/chat',
        auth: { method: 'api_key', issuer: null, role: 'member' },
        policy: { config_version: 1, verdict: 'allowed', rule: null },
        limits: { admitted: true, limit: 120, remaining: 119, current: 1 },
        engine: { name: expect.any(String) },
        error_code: null,
      },
    });
    expect(row.decision.timings.total_ms).toBeGreaterThan(0);
    expect(row.decision.timings.policy_ms).not.toBeNull();
    expect(JSON.stringify(row)).not.toContain('hook');
    expect(await detailOf(requestId, admin)).toEqual(row);
    for (const url of ['/admin/tenants/acme/requests', `/admin/tenants/acme/requests/${requestId}`]) {
      expect((await get(url, alice)).statusCode).toBe(403);
      expect((await get(url, foreign)).statusCode).toBe(404);
    }
    expect((await get(`/admin/tenants/globex/requests/${requestId}`, fixture.operator)).statusCode).toBe(404);
    const list = await get('/admin/tenants/globex/requests', foreign);
    expect(
      requestLogPageSchema.parse(list.json()).data.every(({ tenant_id }) => tenant_id === 'globex'),
    ).toBe(true);
  });

  test('a refusal names its rule, and is found by it', async () => {
    await fixture.setConfig('acme', {
      sensitive_patterns: [{ name: 'project', pattern: 'bluebird' }],
      request_log: { bodies: 'redacted' },
    });
    const alice = await fixture.keyOf('acme', 'alice');
    const ask = (message: string) =>
      fixture.app.inject({ method: 'POST', url: '/v1/chat', headers: alice, payload: { message } });
    const refused = await ask('tell me of bluebird');
    expect(refused.statusCode).toBe(403);
    const allowed = await ask('tell me of ada@example.com');
    const row = await detailOf(refused.headers['x-request-id'], fixture.operator);
    expect(row).toMatchObject({
      outcome: 'refused',
      refusal_reason: 'guardrail_refused',
      decision: {
        policy: { verdict: 'refused', rule: 'sensitive_patterns.0', param: 'message' },
        engine: null,
      },
      bodies: {
        texts: [{ param: 'message', text: 'tell me of [REDACTED:sensitive_patterns.0]' }],
        complete: false,
      },
    });
    const other = await detailOf(allowed.headers['x-request-id'], fixture.operator);
    expect(other.bodies).toMatchObject({ texts: [{ text: 'tell me of [REDACTED:email]' }] });
    expect(other.bodies?.answer).not.toBe('');
    const found = await get(
      '/admin/tenants/acme/requests?outcome=refused&refusal_reason=guardrail_refused&user_id=alice&route=rag',
      fixture.operator,
    );
    expect(requestLogPageSchema.parse(found.json()).data.map(({ request_id }) => request_id)).toEqual([
      row.request_id,
    ]);
    for (const query of ['after=x', 'limit=0', 'outcome=fine', 'model=%00', 'from=today', 'user=alice']) {
      const bad = await get(`/admin/tenants/acme/requests?${query}`, fixture.operator);
      expect([query, bad.statusCode]).toEqual([query, 400]);
    }
  });

  test('names no field by words of the client, whatever is kept', async () => {
    const card = '4111 1111 1111 1111';
    const alice = await fixture.keyOf('acme', 'alice');
    const post = async (url: string, payload: object) => {
      const response = await fixture.app.inject({ method: 'POST', url, headers: alice, payload });
      return detailOf(response.headers['x-request-id'], fixture.operator);
    };
    const unknown = await post('/v1/chat', { message: 'hi', [`my card ${card}`]: 1 });
    expect(unknown.decision).toMatchObject({ error_code: 'invalid_request', policy: { param: '*' } });
    expect(JSON.stringify(unknown)).not.toContain('4111');
  });
});
