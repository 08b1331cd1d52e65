import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { newRequestId, tenantIdSchema } from '#app/ids.ts';
import { auditPageSchema, auditVerificationSchema } from '#app/schemas/audit-event.ts';
import { silentLogger } from '#observability/logger.ts';
import { createDenialRecorder } from '#router/audit/denial-recorder.ts';
import type { Denial } from '#router/audit/denials.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';
import { testContext } from '#test/support/test-context.ts';

type Headers = Record<string, string>;
let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let admin: Headers;
let foreignAdmin: Headers;

beforeAll(async () => {
  fixture = await createRouterFixture();
  admin = await fixture.keyOf('acme', 'root', 'admin');
  foreignAdmin = await fixture.keyOf('globex', 'mallory', 'admin');
});
afterAll(() => fixture.close());

const ACME = tenantIdSchema.parse('acme');

async function get(url: string, headers: Headers) {
  const response = await fixture.app.inject({ method: 'GET', url, headers });
  return { status: response.statusCode, body: response.json() };
}
const eventsOf = async (url: string, headers: Headers) => {
  const { body } = await get(url, headers);
  return auditPageSchema.parse(body);
};
const verify = async (query: string, headers: Headers) => {
  const { body } = await get(`/admin/audit/verify${query}`, headers);
  return auditVerificationSchema.parse(body);
};
/** Until the denials of earlier requests are in the audit. */
async function untilDenied(code: string, query: string, headers: Headers, target?: string) {
  for (;;) {
    const { data } = await eventsOf(`/admin/audit?action=request.denied${query}`, headers);
    const found = data.find(
      (event) => event.details.code === code && event.target === (target ?? event.target),
    );
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

describe('actions of administrators', () => {
  test('are written with who, what and on what, and without secrets or content', async () => {
    const created = await fixture.app.inject({
      method: 'POST',
      url: '/admin/tenants/acme/keys',
      headers: admin,
      payload: { user_id: 'carol', name: 'a name that stays private' },
    });
    const { key_id, api_key } = created.json();
    await fixture.app.inject({
      method: 'PATCH',
      url: '/admin/tenants/acme',
      headers: fixture.operator,
      payload: { refusal_rules: [{ name: 'x', phrases: ['a private phrase'] }], weight: 2 },
    });
    for (let i = 0; i < 2; i++) {
      await fixture.app.inject({
        method: 'DELETE',
        url: `/admin/tenants/acme/keys/${key_id}`,
        headers: admin,
      });
    }
    const { data } = await eventsOf('/admin/audit?limit=3', admin);
    expect(data.map(({ action, actor, target }) => [action, actor, target])).toEqual([
      ['key.revoked', 'acme/root', key_id],
      ['tenant.changed', expect.stringMatching(/^operator:/), 'acme'],
      ['key.created', 'acme/root', key_id],
    ]);
    expect(data[1]?.details).toEqual({ version: 2, fields: ['refusal_rules', 'weight'] });
    const text = JSON.stringify(data);
    const secret = api_key.slice(`bk_${key_id}_`.length);
    expect(secret).toHaveLength(43);
    for (const hidden of [api_key, secret, 'private', 'hmac']) {
      expect(text).not.toContain(hidden);
    }
  });

  test('and the action happen together or not at all', async () => {
    const before = await verify('', admin);
    const refused = await fixture.app.inject({
      method: 'PATCH',
      url: '/admin/tenants/acme',
      headers: { ...fixture.operator, 'if-match': '"999"' },
      payload: { weight: 3 },
    });
    expect(refused.statusCode).toBe(412);
    expect((await verify('', admin)).events).toBe(before.events);
  });

  test('at once leave no gap', async () => {
    const before = await verify('', admin);
    await Promise.all(Array.from({ length: 20 }, (_, i) => fixture.keyOf('acme', `user${i}`)));
    expect(await verify('', admin)).toMatchObject({ valid: true, events: before.events + 20, broken: null });
  });
});

describe('reading', () => {
  test('is by page, newest first', async () => {
    const all = await eventsOf('/admin/audit?limit=100', admin);
    const seqs: number[] = [];
    for (let after = ''; ; ) {
      const page = await eventsOf(`/admin/audit?limit=7${after}`, admin);
      seqs.push(...page.data.map(({ seq }) => seq));
      if (!page.has_more) break;
      after = `&after=${page.last_id}`;
    }
    expect(seqs).toEqual(all.data.map(({ seq }) => seq));
  });

  test('is one’s own: other tenants’ and the operators’ chain are missing alike', async () => {
    for (const path of ['/admin/audit', '/admin/audit/verify']) {
      const answers = await Promise.all(
        ['acme', 'nobody', '*', 'ACME', '..'].map((id) => get(`${path}?tenant_id=${id}`, foreignAdmin)),
      );
      for (const { status, body } of answers) {
        expect([status, body.code, body.detail]).toEqual([404, 'not_found', answers[0]?.body.detail]);
      }
    }
    const { data } = await eventsOf('/admin/audit?limit=100', foreignAdmin);
    expect(new Set(data.map(({ tenant_id }) => tenant_id))).toEqual(new Set(['globex']));
    const operators = await eventsOf('/admin/audit?limit=100&action=tenant.created', fixture.operator);
    expect(operators.data.map(({ tenant_id }) => tenant_id)).toEqual(['globex', 'acme']);
    const member = await fixture.keyOf('acme', 'alice');
    for (const path of ['/admin/audit', '/admin/audit/verify']) {
      expect((await get(path, member)).status).toBe(403);
    }
  });

  test('by SQL is no more than that, and nobody may change a row', async () => {
    const { database } = fixture;
    const seen = await database.asTenant(testContext('globex', 'mallory'), (transaction) =>
      transaction.query('SELECT DISTINCT chain FROM bulkhead.audit_events'),
    );
    expect(seen).toEqual([{ chain: 'globex' }]);
    const asUser = database.asUser(testContext('acme', 'alice'), (transaction) =>
      transaction.query('SELECT 1 FROM bulkhead.audit_events'),
    );
    await expect(asUser).rejects.toThrow('permission denied');
    for (const sql of [
      'DELETE FROM bulkhead.audit_events',
      `UPDATE bulkhead.audit_events SET actor = 'x'`,
      'TRUNCATE bulkhead.audit_events',
      'DELETE FROM bulkhead.audit_chains',
      `UPDATE bulkhead.audit_chains SET tenant_id = NULL`,
    ]) {
      const attempts = [
        database.asSystem((transaction) => transaction.query(sql)),
        database.asTenant(testContext('acme', 'root'), (transaction) => transaction.query(sql)),
        database.asUser(testContext('acme', 'root'), (transaction) => transaction.query(sql)),
      ];
      for (const attempt of attempts) await expect(attempt).rejects.toThrow('permission denied');
    }
  });
});

describe('denied requests', () => {
  test('are audited for whoever they were refused to', async () => {
    const globexHeaders = { ...foreignAdmin, 'x-tenant-id': 'acme' };
    expect((await get('/v1/usage', globexHeaders)).status).toBe(403);
    expect(await untilDenied('tenant_mismatch', '', foreignAdmin)).toMatchObject({
      actor: 'globex/mallory',
      target: 'GET /v1/usage',
      outcome: 'denied',
    });
    const member = await fixture.keyOf('acme', 'alice');
    await get('/admin/usage', member);
    expect(await untilDenied('missing_scope', '', admin, 'GET /admin/usage')).toMatchObject({
      actor: 'acme/alice',
      target: 'GET /admin/usage',
      details: { policy: 'scopes', count: 1 },
    });
    await get('/v1/usage?secret=query', { authorization: 'Bearer nonsense', 'x-tenant-id': 'acme' });
    const stranger = await untilDenied('invalid_credential', '', fixture.operator);
    expect(stranger).toMatchObject({ actor: 'anonymous', tenant_id: null, target: 'GET /v1/usage' });
    expect(JSON.stringify(stranger)).not.toMatch(/nonsense|secret/);
  });

  test('that are a refused message or a limit are audited without the text', async () => {
    await fixture.setConfig('globex', {
      sensitive_patterns: [{ name: 'code', pattern: 'swordfish' }],
    });
    const key = await fixture.keyOf('globex', 'bob');
    const ask = (message: string) =>
      fixture.app.inject({ method: 'POST', url: '/v1/chat', headers: key, payload: { message } });
    expect((await ask('the swordfish is ours')).statusCode).toBe(403);
    await fixture.setConfig('globex', { rate_limits: { requests_per_minute: 1 } });
    expect((await ask('a')).statusCode).toBe(429);
    await fixture.setConfig('globex', { rate_limits: { requests_per_minute: 1_000 } });
    const query = '&tenant_id=globex';
    const refused = await untilDenied('guardrail_refused', query, fixture.operator);
    expect(refused).toMatchObject({ actor: 'globex/bob', target: 'POST /v1/chat' });
    expect(JSON.stringify(refused)).not.toContain('swordfish');
    const limited = await untilDenied('rate_limit_exceeded', query, fixture.operator);
    expect(limited.details.policy).toContain('requests_per_minute');
  });

  test('in a flood are few events with true counts', async () => {
    let time = Date.parse('2030-01-01T00:00:00Z');
    const recorder = createDenialRecorder({
      database: fixture.database,
      logger: silentLogger,
      now: () => time,
    });
    const denial = (more: Partial<Denial>): Denial => ({
      tenantId: ACME,
      actor: 'acme/flood',
      code: 'missing_scope',
      target: 'GET /x',
      policy: 'scopes',
      requestId: newRequestId(),
      clientAddress: null,
      ...more,
    });
    const before = await verify('', admin);
    for (let i = 0; i < 5_000; i++) recorder.record(denial({}));
    for (let i = 0; i < 5_000; i++) recorder.record(denial({ target: `GET /${i}` }));
    await recorder.flush();
    for (let i = 0; i < 1_000; i++) recorder.record(denial({}));
    await recorder.flush();
    time += 61_000;
    await recorder.flush();
    recorder.record(denial({ target: 'GET /last' }));
    await recorder.close(5_000);
    const after = await verify('', admin);
    expect(after.valid).toBe(true);
    expect(after.events - before.events).toBeLessThan(30);
    const { data } = await eventsOf('/admin/audit?limit=100&action=request.denied', admin);
    const counted = data
      .filter(({ actor, seq }) => seq > before.events && (actor === 'acme/flood' || actor === 'several'))
      .reduce((sum, { details }) => sum + Number(details.count), 0);
    expect(counted).toBe(11_001);
  });

  test('of a tenant that is gone write nothing', async () => {
    const recorder = createDenialRecorder({
      database: fixture.database,
      logger: silentLogger,
      now: Date.now,
    });
    recorder.record({
      tenantId: tenantIdSchema.parse('gone'),
      actor: 'gone/x',
      code: 'missing_scope',
      target: 'GET /x',
      policy: null,
      requestId: newRequestId(),
      clientAddress: null,
    });
    await recorder.close(5_000);
    const rows = await fixture.database.asSystem((transaction) =>
      transaction.query(`SELECT 1 FROM bulkhead.audit_chains WHERE chain = 'gone'`),
    );
    expect(rows).toEqual([]);
  });
});
