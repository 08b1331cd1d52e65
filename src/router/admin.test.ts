import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRouterFixture } from '../../test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let admin: { authorization: string };
let member: { authorization: string };

beforeAll(async () => {
  fixture = await createRouterFixture();
  admin = await fixture.keyOf('acme', 'root', 'admin');
  member = await fixture.keyOf('acme', 'alice', 'member');
});
afterAll(() => fixture.close());

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';
async function call(method: Method, url: string, headers: Record<string, string>, payload?: object) {
  const response = await fixture.app.inject({
    method,
    url,
    headers,
    ...(payload === undefined ? {} : { payload }),
  });
  return { status: response.statusCode, headers: response.headers, body: response.json() };
}
const withoutIds = ({ instance: _instance, ...body }: Record<string, unknown>) => body;

describe('operators', () => {
  test('create tenants, once', async () => {
    const payload = {
      tenant_id: 'initech',
      display_name: 'Initech',
      rate_limits: { requests_per_minute: 7 },
    };
    const created = await call('POST', '/admin/tenants', fixture.operator, payload);
    expect(created.status).toBe(201);
    expect(created.headers).toMatchObject({ etag: '"1"', location: '/admin/tenants/initech' });
    expect(created.body).toMatchObject({
      tenant_id: 'initech',
      version: 1,
      config: { rate_limits: { requests_per_minute: 7, requests_per_hour: 3_600 } },
    });
    const again = await call('POST', '/admin/tenants', fixture.operator, payload);
    expect(again.status).toBe(409);
    expect(again.headers['content-type']).toContain('application/problem+json');
    expect(again.body).toMatchObject({ code: 'conflict', param: 'tenant_id', status: 409 });
  });

  test.each([
    ['tenant_id', { display_name: 'x' }],
    ['tenant_id', { tenant_id: '../etc', display_name: 'x' }],
    ['tenant_id', { tenant_id: 'A', display_name: 'x' }],
    ['owner', { tenant_id: 'ok', display_name: 'x', owner: 'me' }],
    [
      'rate_limits.requests_per_minute',
      { tenant_id: 'ok', display_name: 'x', rate_limits: { requests_per_minute: -1 } },
    ],
    [
      'sensitive_patterns.1.pattern',
      {
        tenant_id: 'ok',
        display_name: 'x',
        sensitive_patterns: [
          { name: 'a', pattern: 'a' },
          { name: 'b', pattern: '(' },
        ],
      },
    ],
  ])('a bad %s is a problem that names it', async (param, payload) => {
    const { status, body } = await call('POST', '/admin/tenants', fixture.operator, payload);
    expect(status).toBe(400);
    expect(body).toMatchObject({ code: 'invalid_request', param, status: 400 });
  });

  test('change configs by version, and the change holds at once', async () => {
    const url = '/admin/tenants/globex';
    const { headers } = await call('GET', url, fixture.operator);
    const { etag } = headers;
    const changed = await call(
      'PATCH',
      url,
      { ...fixture.operator, 'if-match': String(etag) },
      { weight: 4 },
    );
    expect(changed.body).toMatchObject({ version: 2, config: { weight: 4 } });
    const late = await call('PATCH', url, { ...fixture.operator, 'if-match': String(etag) }, { weight: 5 });
    expect(late.status).toBe(412);
    expect(late.body.code).toBe('precondition_failed');
    const key = await fixture.keyOf('globex');
    expect((await call('GET', '/v1/usage', key)).status).toBe(200);
    await call('PATCH', url, fixture.operator, { enabled: false });
    const { status, body } = await call('GET', '/v1/usage', key);
    expect([status, body.error.code]).toEqual([403, 'tenant_disabled']);
    await call('PATCH', url, fixture.operator, { enabled: true });
    expect((await call('GET', '/v1/usage', key)).status).toBe(200);
  });

  test('make keys that work, list them without secrets, and revoke them', async () => {
    const url = '/admin/tenants/acme/keys';
    const created = await call('POST', url, fixture.operator, {
      user_id: 'carol',
      role: 'member',
      name: 'laptop',
    });
    expect(created.status).toBe(201);
    expect(created.body.api_key).toMatch(/^bk_[0-9a-z]{26}_[A-Za-z0-9_-]{43}$/);
    const key = { authorization: `Bearer ${created.body.api_key}` };
    expect((await call('GET', '/v1/usage', key)).status).toBe(200);
    const { body: list } = await call('GET', `${url}?limit=100`, fixture.operator);
    expect(list.data[0]).toMatchObject({ key_id: created.body.key_id, name: 'laptop', user_id: 'carol' });
    expect(JSON.stringify(list)).not.toMatch(/api_key|hmac|bk_/);
    const revoked = await call('DELETE', `${url}/${created.body.key_id}`, fixture.operator);
    expect(revoked.body.revoked_at).not.toBeNull();
    expect((await call('GET', '/v1/usage', key)).status).toBe(401);
    const twice = await call('DELETE', `${url}/${created.body.key_id}`, fixture.operator);
    expect(twice.body.revoked_at).toBe(revoked.body.revoked_at);
  });

  test.each([
    ['user_id', { role: 'member' }],
    ['role', { role: 'operator', user_id: 'x' }],
    ['scopes.0', { role: 'member', user_id: 'x', scopes: ['tenant:admin'] }],
    ['expires_at', { user_id: 'x', expires_at: '2020-01-01T00:00:00Z' }],
    ['tenant_id', { user_id: 'x', tenant_id: 'globex' }],
  ])('a key with a bad %s is refused', async (param, payload) => {
    const { status, body } = await call('POST', '/admin/tenants/acme/keys', fixture.operator, payload);
    expect(status).toBe(400);
    expect(body.param).toBe(param);
  });
});

describe('tenant admins', () => {
  test('reach their own tenant', async () => {
    expect(
      (await call('GET', '/admin/tenants', admin)).body.data.map((t: { tenant_id: string }) => t.tenant_id),
    ).toEqual(['acme']);
    const changed = await call('PATCH', '/admin/tenants/acme', admin, { blocked_tools: ['shell'] });
    expect(changed.body).toMatchObject({ config: { blocked_tools: ['shell'] } });
    const created = await call('POST', '/admin/tenants/acme/keys', admin, { user_id: 'dave' });
    expect(created.status).toBe(201);
    expect(
      (await call('GET', '/admin/usage', admin)).body.data.map((t: { tenant_id: string }) => t.tenant_id),
    ).toEqual(['acme']);
    expect((await call('GET', '/admin/tenants/acme/usage', admin)).body.totals.requests).toBeGreaterThan(0);
  });

  test('get for other tenants what they get for none', async () => {
    const { body: keys } = await call('GET', '/admin/tenants/globex/keys', fixture.operator);
    const foreignKey = keys.data[0].key_id;
    for (const [method, path, payload] of [
      ['GET', '', undefined],
      ['PATCH', '', { display_name: 'mine now' }],
      ['GET', '/keys', undefined],
      ['POST', '/keys', { user_id: 'x' }],
      ['DELETE', `/keys/${foreignKey}`, undefined],
      ['GET', '/usage', undefined],
    ] as const) {
      const answers = await Promise.all(
        ['globex', 'nobody', '..%2facme', 'ACME'].map((id) =>
          call(method, `/admin/tenants/${id}${path}`, admin, payload),
        ),
      );
      for (const { status, body } of answers) {
        expect(status).toBe(404);
        expect(withoutIds(body)).toEqual(withoutIds(answers[0]?.body ?? {}));
      }
    }
    // A key of another tenant under one's own path, and one of nobody.
    const foreign = await call('DELETE', `/admin/tenants/acme/keys/${foreignKey}`, admin);
    const missing = await call('DELETE', `/admin/tenants/acme/keys/${'0'.repeat(26)}`, admin);
    const malformed = await call('DELETE', '/admin/tenants/acme/keys/x', admin);
    expect(withoutIds(foreign.body)).toEqual(withoutIds(missing.body));
    expect(withoutIds(malformed.body)).toEqual(withoutIds(missing.body));
    const usage = await Promise.all(
      ['globex', 'nobody', 'A'].map((id) => call('GET', `/admin/usage?tenant_id=${id}`, admin)),
    );
    for (const { status, body } of usage) expect([status, body.code]).toEqual([404, 'not_found']);
    expect((await call('GET', '/admin/tenants/globex', fixture.operator)).body.config.display_name).toBe(
      'globex',
    );
  });

  test('cannot widen what the operator granted, nor make keys stronger than their own', async () => {
    for (const [field, value] of Object.entries({
      enabled: true,
      allowed_routes: ['direct'],
      models: null,
      rate_limits: { requests_per_minute: 1_000_000 },
      budget_usd_per_month: null,
      weight: 1_000,
      identity: { issuers: [] },
    })) {
      const { status, body } = await call('PATCH', '/admin/tenants/acme', admin, { [field]: value });
      expect([status, body.code, body.param]).toEqual([403, 'missing_scope', field]);
    }
    const mint = await call('POST', '/admin/tenants', admin, { tenant_id: 'evil', display_name: 'x' });
    expect([mint.status, mint.body.code]).toEqual([403, 'missing_scope']);
    const weak = await fixture.keyOf('acme', 'helper', 'admin', ['tenant:admin', 'usage:read']);
    const stronger = await call('POST', '/admin/tenants/acme/keys', weak, { user_id: 'x', scopes: ['chat'] });
    expect([stronger.status, stronger.body.param]).toEqual([403, 'scopes.0']);
    const silent = await call('POST', '/admin/tenants/acme/keys', weak, { user_id: 'x', role: 'admin' });
    expect(silent.body.scopes.sort()).toEqual(['tenant:admin', 'usage:read']);
  });

  test('are what members are not', async () => {
    for (const url of ['/admin/tenants', '/admin/tenants/acme', '/admin/tenants/acme/keys', '/admin/usage']) {
      const { status, body } = await call('GET', url, member);
      expect([status, body.code]).toEqual([403, 'missing_scope']);
    }
  });
});

test('usage is one’s own, and adds up', async () => {
  const key = await fixture.keyOf('acme', 'counted', 'member');
  for (let i = 0; i < 3; i++) await call('POST', '/v1/chat', key, { message: 'x' });
  const { body } = await call('GET', '/v1/usage?route=rag', key);
  expect(body.totals).toMatchObject({ requests: 3, token_usage: { total_tokens: 30 } });
  expect(body.data.every(({ user_id }: { user_id: string }) => user_id === 'counted')).toBe(true);
  const paged = await call('GET', '/v1/usage?route=rag&limit=2', key);
  expect(paged.body).toMatchObject({ has_more: true });
  const rest = await call('GET', `/v1/usage?route=rag&limit=2&after=${paged.body.last_id}`, key);
  expect(rest.body.data).toHaveLength(1);
});
