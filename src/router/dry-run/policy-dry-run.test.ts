import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Database, Row } from '#app/database/database.ts';
import { requestIdSchema, sortableId, tenantIdSchema } from '#app/ids.ts';
import { auditPageSchema } from '#app/schemas/audit-event.ts';
import { policyDryRunSchema } from '#app/schemas/policy-dry-run.ts';
import {
  type RequestLogDetail,
  requestLogDetailSchema,
  requestLogPageSchema,
} from '#app/schemas/request-log.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { createPolicyDryRunner } from '#router/dry-run/policy-dry-run.ts';
import { createPolicyReplay } from '#router/dry-run/replay-policy.ts';
import { administrationContext } from '#router/identity/administration-context.ts';
import { compilePolicy } from '#router/policy/compile-policy.ts';
import { insertRequests, storableRequest } from '#router/request-log/insert-requests.ts';
import { createRequestLogStore } from '#router/request-log/request-log-store.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';

describe('over the API', () => {
  let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
  let alice: Record<string, string>;
  beforeEach(async () => {
    fixture = await createRouterFixture();
    alice = await fixture.keyOf('acme', 'alice');
  });
  afterEach(() => fixture.close());

  const ask = (message: string) =>
    fixture.app.inject({ method: 'POST', url: '/v1/chat', headers: alice, payload: { message } });

  async function dryRun(config: object, options: object = {}, headers: object = fixture.operator) {
    const response = await fixture.app.inject({
      method: 'POST',
      url: '/admin/policy/dry-run',
      headers: { ...headers },
      payload: { tenant_id: 'acme', config, ...options },
    });
    return { status: response.statusCode, body: response.json() };
  }
  const report = async (config: object, options: object = {}) => {
    const { status, body } = await dryRun(config, options);
    expect([status, body]).toEqual([200, expect.anything()]);
    return policyDryRunSchema.parse(body);
  };

  /** Rows are written when the answers have long been out. */
  async function logged(count: number): Promise<void> {
    for (;;) {
      const { body } = await fixture.app.inject({
        url: '/admin/tenants/acme/requests?limit=100',
        headers: fixture.operator,
      });
      if (requestLogPageSchema.parse(JSON.parse(body)).data.length === count) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  test('says what limits, routes and rules on texts would have done', async () => {
    for (let i = 0; i < 6; i++) expect((await ask(`question ${i} of bluebird`)).statusCode).toBe(200);
    await logged(6);

    expect(await report({})).toMatchObject({ requests: 6, unchanged: 6, by_rule: [], truncated: false });
    const limited = await report({ rate_limits: { requests_per_minute: 4 } });
    expect(limited).toMatchObject({ requests: 6, unchanged: 4, newly_refused: 2, not_replayed: [] });
    expect(limited.by_rule).toEqual([
      {
        change: 'newly_refused',
        rule: 'rate_limits.requests_per_minute',
        requests: 2,
        sample_request_ids: [expect.stringMatching(/^req_/), expect.stringMatching(/^req_/)],
      },
    ]);
    expect(await report({ allowed_routes: ['chat'] })).toMatchObject({
      newly_refused: 6,
      by_rule: [{ rule: 'allowed_routes', requests: 6 }],
    });
    expect(await report({ enabled: false })).toMatchObject({
      newly_refused: 6,
      by_rule: [{ rule: 'enabled' }],
    });
    // No body is kept: nobody knows what was asked.
    const pattern = { sensitive_patterns: [{ name: 'p', pattern: 'bluebird' }] };
    expect(await report(pattern)).toMatchObject({ undecidable: 6, by_rule: [{ change: 'undecidable' }] });
    expect(await report({ pii: 'refuse' })).toMatchObject({ undecidable: 6, not_replayed: ['pii'] });
    expect(await report({}, { limit: 2 })).toMatchObject({ requests: 2, truncated: true });
    expect(await report({}, { to: '2020-01-01T00:00:00Z' })).toMatchObject({ requests: 0, from: null });

    await fixture.setConfig('acme', { request_log: { bodies: 'redacted' } });
    await ask('tell me of bluebird');
    await ask('tell me of another bird');
    await logged(8);
    const judged = await report(pattern, { limit: 2 });
    expect(judged).toMatchObject({ newly_refused: 1, unchanged: 1, undecidable: 0 });
    expect(judged.by_rule[0]?.rule).toBe('sensitive_patterns.0');
  });

  test('holds few rows at once, and runs once for a tenant', async () => {
    await fixture.setConfig('acme', { request_log: { bodies: 'redacted' } });
    await ask('one question');
    await logged(1);
    const { database } = fixture;
    const acme = administrationContext(tenantIdSchema.parse('acme'));
    const requests = createRequestLogStore({ database });
    const any = { from: null, to: null, outcome: null, user: null, route: null, model: null, refusal: null };
    const [newest] = (await requests.list(acme, any, { limit: 1 })).data;
    const { created_at: _, ...logs } = await requests.get(acme, requestIdSchema.parse(newest?.request_id));
    const id = (nth: number) =>
      requestIdSchema.parse(logs.request_id.slice(0, 22) + String(nth).padStart(8, '0'));
    await insertRequests(
      database,
      Array.from({ length: 449 }, (_, nth) => storableRequest({ ...logs, request_id: id(nth) })),
    );
    const sizes: number[] = [];
    const counting: Database = {
      ...database,
      asTenant: (context, work) =>
        database.asTenant(context, (transaction) =>
          work({
            async query<Found extends Row>(text: string, parameters?: readonly unknown[]) {
              const rows = await transaction.query<Found>(text, parameters);
              if (text.includes('decision')) sizes.push(rows.length);
              return rows;
            },
          }),
        ),
    };
    const runner = createPolicyDryRunner({
      database: counting,
      tenants: createTenantStore({ database }),
      monotonicNow: () => performance.now(),
    });
    const asked = {
      context: acme,
      author: 'test',
      patch: { allowed_routes: [] },
      from: null,
      to: null,
      limit: 300,
      signal: new AbortController().signal,
    };
    const running = runner.run(asked);
    await expect(runner.run(asked)).rejects.toMatchObject({
      code: 'tenant_overloaded',
      retryAfterMs: 5_000,
    });
    expect(await running).toMatchObject({ requests: 300, newly_refused: 300, truncated: true });
    // 150 before the first that is judged, to fill the windows.
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBe(450);
    expect(Math.max(...sizes)).toBe(100);
    expect(await runner.run({ ...asked, limit: 1 })).toMatchObject({ requests: 1 });
  });

  test('says what would have been let through', async () => {
    await fixture.setConfig('acme', {
      sensitive_patterns: [{ name: 'p', pattern: 'bluebird' }],
      rate_limits: { requests_per_minute: 3 },
    });
    for (let i = 0; i < 5; i++) await ask(i === 0 ? 'of bluebird' : 'of a bird');
    await logged(5);
    expect(await report({})).toMatchObject({ unchanged: 5 });
    expect(await report({ sensitive_patterns: [] })).toMatchObject({
      newly_allowed: 1,
      unchanged: 4,
      by_rule: [{ change: 'newly_allowed', rule: 'sensitive_patterns.0' }],
    });
    expect(await report({ rate_limits: { requests_per_minute: 100 } })).toMatchObject({
      newly_allowed: 2,
      unchanged: 3,
      by_rule: [{ change: 'newly_allowed', rule: 'rate_limits.requests_per_minute', requests: 2 }],
    });
  });

  test('consumes nothing and writes nothing but its own event', async () => {
    await ask('one question');
    await logged(1);
    // Without the time of a key's last use, which is written in the background.
    const tables = async () => {
      const rows = await fixture.database.asSystem((transaction) =>
        transaction.query(
          `SELECT (SELECT jsonb_agg(t) FROM bulkhead.tenants t) AS tenants,
                  (SELECT jsonb_agg(v) FROM bulkhead.tenant_config_versions v) AS versions,
                  (SELECT jsonb_agg(to_jsonb(k) - 'last_used_at' ORDER BY k.key_id) FROM bulkhead.api_keys k) AS keys,
                  (SELECT count(*) FROM bulkhead.usage_records) AS usage`,
        ),
      );
      return rows;
    };
    // The question's own row is on its way.
    await expect.poll(async () => (await tables())[0]?.usage).toBe(1);
    const before = await tables();
    for (let i = 0; i < 5; i++) await report({ rate_limits: { requests_per_minute: 1 }, enabled: false });
    expect(await tables()).toEqual(before);
    const next = await ask('another question');
    expect([next.statusCode, next.headers['x-ratelimit-remaining-requests']]).toEqual([200, '118']);
    const { body } = await fixture.app.inject({
      url: '/admin/audit?tenant_id=acme&action=policy.dry_run',
      headers: fixture.operator,
    });
    const { data } = auditPageSchema.parse(JSON.parse(body));
    expect(data).toHaveLength(5);
    expect(data[0]?.details).toEqual({ fields: ['enabled', 'rate_limits'], requests: 1, version: 1 });
  });

  test('is for operators and the tenant’s own admins, with the fields that they may change', async () => {
    const [admin, foreign] = [
      await fixture.keyOf('acme', 'root', 'admin'),
      await fixture.keyOf('globex', 'root', 'admin'),
    ];
    expect((await dryRun({ blocked_tools: ['x'] }, {}, admin)).status).toBe(200);
    expect((await dryRun({}, {}, foreign)).status).toBe(404);
    expect((await dryRun({}, { tenant_id: 'nobody' }, foreign)).status).toBe(404);
    expect((await dryRun({}, {}, alice)).status).toBe(403);
    expect(await dryRun({ weight: 5 }, {}, admin)).toMatchObject({ status: 403, body: { param: 'weight' } });
    const bad = { sensitive_patterns: [{ name: 'x', pattern: '(' }] };
    expect(await dryRun(bad)).toMatchObject({ status: 400, body: { param: 'sensitive_patterns.0.pattern' } });
    expect(await dryRun({ wieght: 1 })).toMatchObject({ status: 400, body: { param: 'config.wieght' } });
    expect(await dryRun({}, { limit: 5_001 })).toMatchObject({ status: 400, body: { param: 'limit' } });
  });
});

describe('a replay', () => {
  const config = (fields: object = {}) =>
    tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'acme', ...fields });
  const START = 1_700_000_000_000;
  const tokens = (total: number) => ({ prompt_tokens: total, completion_tokens: 0, total_tokens: total });

  function row(fields: {
    atMs?: number;
    tookMs?: number;
    tokensUsed?: number;
    decision?: Partial<RequestLogDetail['decision']>;
    policy?: Partial<RequestLogDetail['decision']['policy']>;
    outcome?: string;
    route?: string;
    refusal_reason?: string;
    bodies?: RequestLogDetail['bodies'];
  }): RequestLogDetail {
    const request_id = `req_${sortableId(START + (fields.atMs ?? 0))}`;
    return requestLogDetailSchema.parse({
      request_id,
      tenant_id: 'acme',
      user_id: 'alice',
      created_at: 'x',
      route: fields.route ?? 'rag',
      model: 'm',
      status: 200,
      outcome: fields.outcome ?? 'ok',
      refusal_reason: fields.refusal_reason ?? null,
      latency_ms: fields.tookMs ?? 10,
      bodies: fields.bodies ?? null,
      decision: {
        method: 'POST',
        path: '/v1/chat',
        auth: { method: 'api_key', key_id: 'k', issuer: null, role: 'member' },
        limits: {
          admitted: true,
          scope: null,
          name: null,
          limit: null,
          current: null,
          remaining: null,
          tokens_reserved: 0,
        },
        retrieval: null,
        engine: null,
        token_usage: tokens(fields.tokensUsed ?? 0),
        timings: {
          auth_ms: 0,
          limits_ms: 0,
          policy_ms: 0,
          retrieve_ms: null,
          generate_ms: null,
          total_ms: 10,
        },
        error_code: null,
        ...fields.decision,
        policy: {
          config_version: 1,
          verdict: 'allowed',
          rule: null,
          param: null,
          flags: [],
          tools: [],
          tools_complete: true,
          ...fields.policy,
        },
      },
    });
  }

  async function changes(draft: object, rows: readonly RequestLogDetail[], recorded: object = {}) {
    const replay = createPolicyReplay({
      draft: compilePolicy(config(draft), 2),
      configOf: async (version) => (version === 1 ? config(recorded) : null),
    });
    const found: (string | null)[] = [];
    for (const one of rows) {
      const change = await replay.judge(one);
      found.push(change === null ? null : `${change.change} ${change.rule}`);
    }
    return found;
  }
  const REFUSED = 'newly_refused';

  test('slides its windows over the recorded times', async () => {
    const at = (ms: number) => row({ atMs: ms });
    const rows = [at(0), at(30_000), at(59_999), at(60_000), at(89_999), at(90_000)];
    const limit = `${REFUSED} rate_limits.requests_per_minute`;
    // What is denied is not counted.
    expect(await changes({ rate_limits: { requests_per_minute: 2 } }, rows)).toEqual([
      null,
      null,
      limit,
      null,
      limit,
      null,
    ]);
  });

  test('knows how many ran at once, and what they used', async () => {
    const overlapping = [0, 10, 20, 1_000].map((atMs) => row({ atMs, tookMs: 500 }));
    expect(await changes({ rate_limits: { concurrent_requests: 2 } }, overlapping)).toEqual([
      null,
      null,
      `${REFUSED} rate_limits.concurrent_requests`,
      null,
    ]);
    const hungry = [0, 1_000, 2_000, 61_500].map((atMs) => row({ atMs, tokensUsed: 400 }));
    expect(await changes({ rate_limits: { tokens_per_minute: 1_000 } }, hungry)).toEqual([
      null,
      null,
      `${REFUSED} rate_limits.tokens_per_minute`,
      null,
    ]);
  });

  test.each([
    [
      'a blocked tool',
      { blocked_tools: ['shell'] },
      row({ policy: { tools: ['SHELL'] } }),
      `${REFUSED} blocked_tools`,
    ],
    ['another tool', { blocked_tools: ['shell'] }, row({ policy: { tools: ['x'] } }), null],
    [
      'tools that were not all kept',
      { blocked_tools: ['shell'] },
      row({ policy: { tools_complete: false } }),
      'undecidable blocked_tools',
    ],
    [
      'a search, which rules on texts do not reach',
      { sensitive_patterns: [{ name: 'p', pattern: 'x' }] },
      row({ route: 'search' }),
      null,
    ],
    ['a search under another detector', { pii: 'refuse' }, row({ route: 'search' }), 'undecidable content'],
    ['a model', { models: ['b'] }, row({ route: 'direct', policy: { model: 'a' } }), `${REFUSED} models`],
    ['the platform’s choice of model', { models: ['b'] }, row({}), null],
    ['a route of no turn', { allowed_routes: ['rag'] }, row({ route: 'vault' }), `${REFUSED} allowed_routes`],
    ['embeddings', { allowed_routes: ['rag'] }, row({ route: 'embeddings' }), `${REFUSED} allowed_routes`],
    ['administration', { allowed_routes: [] }, row({ route: 'admin' }), null],
    [
      'a bad request',
      { allowed_routes: [] },
      row({ outcome: 'error', decision: { limits: null, error_code: 'invalid_request' } }),
      null,
    ],
    [
      'a missing scope',
      {},
      row({ outcome: 'refused', refusal_reason: 'missing_scope', decision: { error_code: 'missing_scope' } }),
      null,
    ],
    [
      'a model that its key may not use',
      {},
      row({
        outcome: 'refused',
        refusal_reason: 'model_not_allowed',
        decision: { error_code: 'model_not_allowed' },
        policy: { verdict: 'refused', rule: 'key.models', model: 'a' },
      }),
      null,
    ],
    [
      'text that was redacted',
      { sensitive_patterns: [{ name: 'p', pattern: 'email' }] },
      row({
        bodies: { texts: [{ param: 'message', text: 'to [REDACTED:email]' }], answer: null, complete: false },
      }),
      'undecidable content',
    ],
    [
      'a rule that only flags',
      { sensitive_patterns: [{ name: 'p', pattern: 'x', action: 'flag' }] },
      row({}),
      null,
    ],
  ])('decides on %s', async (_name, draft, request, expected) => {
    expect(await changes(draft, [request])).toEqual([expected]);
  });

  test('what passed stricter rules passes fewer of them, and what was refused by one that goes is not known', async () => {
    const [one, two] = [
      { name: 'a', pattern: 'aaa' },
      { name: 'b', pattern: 'bbb' },
    ];
    const refused = row({
      outcome: 'refused',
      refusal_reason: 'guardrail_refused',
      decision: { error_code: 'guardrail_refused' },
      policy: { verdict: 'refused', rule: 'sensitive_patterns.0' },
    });
    const recorded = { sensitive_patterns: [one, two] };
    expect(await changes({ sensitive_patterns: [two] }, [row({}), refused], recorded)).toEqual([
      null,
      'undecidable content',
    ]);
    expect(await changes({ sensitive_patterns: [] }, [row({}), refused], recorded)).toEqual([
      null,
      'newly_allowed sensitive_patterns.0',
    ]);
    // Of a version that is not known, nothing is taken for granted.
    expect(
      await changes({ sensitive_patterns: [two] }, [row({ policy: { config_version: 9 } })], recorded),
    ).toEqual(['undecidable content']);
  });
});
