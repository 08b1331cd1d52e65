import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createRouterFixture } from '../../../test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let wall = Date.parse('2026-01-01T00:00:00Z');

beforeAll(async () => {
  fixture = await createRouterFixture({ settings: { TRUSTED_PROXIES: ['10.0.0.0/8'] }, now: () => wall });
  await fixture.setConfig('acme', { rate_limits: { requests_per_minute: null, requests_per_hour: null } });
});
afterAll(() => fixture.close());

type Headers = Record<string, string>;
async function call(route: string, headers: Headers, payload?: object, remoteAddress = '127.0.0.1') {
  const [method, url = ''] = route.split(' ');
  const response = await fixture.app.inject({
    method: method as 'GET',
    url,
    headers,
    remoteAddress,
    ...(payload === undefined ? {} : { payload }),
  });
  return { status: response.statusCode, body: response.json() };
}
const bearer = (key: string): Headers => ({ authorization: `Bearer ${key}` });
const KEYS = '/admin/tenants/acme/keys';

async function newKey(fields: object, by: Headers = fixture.operator) {
  const { status, body } = await call(`POST ${KEYS}`, by, { user_id: 'alice', ...fields });
  expect(status, JSON.stringify(body)).toBe(201);
  return { id: String(body.key_id), headers: bearer(String(body.api_key)), body };
}

describe('a key’s models', () => {
  const chat = (headers: Headers, fields: object) =>
    call('POST /v1/chat', headers, { message: 'x', ...fields });
  const complete = (headers: Headers, model: string) =>
    call('POST /v1/chat/completions', headers, { model, messages: [{ role: 'user', content: 'x' }] });

  test('are all that it may use, by whichever route, and all that it sees', async () => {
    const { headers } = await newKey({ models: ['bulkhead-rag', 'org/model-b'] });
    const denied = {
      status: 403,
      body: { error: { code: 'model_not_allowed', refusal: { policy: 'key.models' } } },
    };
    expect(await chat(headers, {})).toMatchObject({ status: 200 });
    expect(await complete(headers, 'bulkhead-rag')).toMatchObject({ status: 200 });
    expect(await complete(headers, 'org/model-b')).toMatchObject({ status: 200 });
    expect(await chat(headers, { route: 'chat' })).toMatchObject(denied);
    expect(await chat(headers, { model: 'org/model-a' })).toMatchObject(denied);
    expect(await complete(headers, 'bulkhead-chat')).toMatchObject(denied);
    expect(await complete(headers, 'org/model-a')).toMatchObject(denied);
    expect(await call('POST /v1/embeddings', headers, { model: 'bulkhead-embed', input: 'x' })).toMatchObject(
      denied,
    );
    const listed = await call('GET /v1/models', headers);
    expect(listed.body.data.map(({ id }: { id: string }) => id)).toEqual(['bulkhead-rag']);
    expect(await call('GET /v1/models/org/model-a', headers)).toMatchObject({ status: 404 });
  });

  test('do not widen what the tenant may use', async () => {
    const { headers } = await newKey({ models: ['org/model-a'] });
    await fixture.setConfig('acme', { models: ['org/model-b'] });
    const refused = await complete(headers, 'org/model-a');
    await fixture.setConfig('acme', { models: null });
    expect(refused).toMatchObject({ status: 403, body: { error: { refusal: { policy: 'models' } } } });
  });
});

describe('a key’s addresses', () => {
  test.each([
    ['the range', '192.0.2.9', {}, 200],
    ['the range, as IPv4 in IPv6', '::ffff:192.0.2.9', {}, 200],
    ['the range of IPv6', '2001:db8::9', {}, 200],
    ['elsewhere', '198.51.100.1', {}, 403],
    ['elsewhere, writing the header', '198.51.100.1', { 'x-forwarded-for': '192.0.2.9' }, 403],
    ['a trusted proxy', '10.0.0.1', {}, 403],
    ['the range, through a trusted proxy', '10.0.0.1', { 'x-forwarded-for': '192.0.2.9' }, 200],
    ['elsewhere, through it', '10.0.0.1', { 'x-forwarded-for': '192.0.2.9, 198.51.100.1' }, 403],
    ['it says what is no address', '10.0.0.1', { 'x-forwarded-for': 'unknown' }, 403],
    [
      'other headers that name an address',
      '198.51.100.1',
      { 'x-real-ip': '192.0.2.9', forwarded: 'for=192.0.2.9' },
      403,
    ],
  ])('from %s', async (_what, from, extra: Headers, status) => {
    const { headers } = await newKey({ ip_ranges: ['192.0.2.0/24', '2001:db8::/32'] });
    const answer = await call('GET /v1/usage', { ...headers, ...extra }, undefined, from);
    expect(answer.status).toBe(status);
    if (status === 403) {
      expect(answer.body.error).toMatchObject({
        code: 'address_not_allowed',
        refusal: { policy: 'key.ip_ranges' },
      });
    }
  });
});

describe('rotation', () => {
  const rotate = (id: string, payload: object = {}, by: Headers = fixture.operator) =>
    call(`POST ${KEYS}/${id}/rotate`, by, payload);
  const works = async (headers: Headers) => (await call('GET /v1/usage', headers)).status === 200;

  test('ends the old secret at once, and keeps all else', async () => {
    const { id, headers, body } = await newKey({ name: 'laptop', models: ['bulkhead-rag'] });
    expect(await works(headers)).toBe(true);
    const rotated = await rotate(id);
    expect(rotated.body).toMatchObject({
      key_id: id,
      name: 'laptop',
      models: ['bulkhead-rag'],
      created_at: body.created_at,
      previous_secret_until: null,
    });
    expect(rotated.body.rotated_at).not.toBeNull();
    expect(await works(headers)).toBe(false);
    expect(await works(bearer(rotated.body.api_key))).toBe(true);
  });

  test('lets the old secret live on as long as it is told, and no more than one of them', async () => {
    const { id, headers } = await newKey({});
    const second = await rotate(id, { overlap_seconds: 60 });
    expect([await works(headers), await works(bearer(second.body.api_key))]).toEqual([true, true]);
    wall += 60_000;
    expect([await works(headers), await works(bearer(second.body.api_key))]).toEqual([false, true]);
    const third = await rotate(id, { overlap_seconds: 60 });
    const fourth = await rotate(id, { overlap_seconds: 60 });
    expect([
      await works(bearer(second.body.api_key)),
      await works(bearer(third.body.api_key)),
      await works(bearer(fourth.body.api_key)),
    ]).toEqual([false, true, true]);
    await call(`DELETE ${KEYS}/${id}`, fixture.operator);
    expect([await works(bearer(third.body.api_key)), await works(bearer(fourth.body.api_key))]).toEqual([
      false,
      false,
    ]);
    expect(await rotate(id)).toMatchObject({ status: 409, body: { code: 'conflict' } });
  });

  test('is not for keys of others, nor for stronger ones', async () => {
    const foreign = await call('POST /admin/tenants/globex/keys', fixture.operator, { user_id: 'bob' });
    const admin = await fixture.keyOf('acme', 'root', 'admin');
    expect(await rotate(String(foreign.body.key_id), {}, admin)).toMatchObject({ status: 404 });
    const { id } = await newKey({ role: 'admin' });
    expect(await rotate(id, {}, admin)).toMatchObject({ status: 200 });
    const weak = await fixture.keyOf('acme', 'weak', 'admin', ['tenant:admin', 'usage:read']);
    expect(await rotate(id, {}, weak)).toMatchObject({ status: 403, body: { code: 'missing_scope' } });
    const limited = await newKey({ role: 'admin', models: ['bulkhead-rag'] });
    expect(await rotate(id, {}, limited.headers)).toMatchObject({
      status: 403,
      body: { code: 'missing_scope' },
    });
    expect(await rotate(limited.id, {}, limited.headers)).toMatchObject({ status: 200 });
  });

  test.each([
    ['overlap_seconds', { overlap_seconds: -1 }],
    ['overlap_seconds', { overlap_seconds: 604_801 }],
    ['overlap_seconds', { overlap_seconds: 0.5 }],
    ['secret', { secret: 'mine' }],
  ])('with a bad %s is refused', async (param, payload) => {
    const { id, headers } = await newKey({});
    expect(await rotate(id, payload)).toMatchObject({ status: 400, body: { param } });
    expect(await works(headers)).toBe(true);
  });
});

describe('a limited admin', () => {
  test('makes keys as limited as the own, and none that is less so', async () => {
    const models = ['bulkhead-rag', 'bulkhead-chat'];
    const limited = await newKey({ role: 'admin', models, ip_ranges: ['127.0.0.0/8'] });
    const child = await newKey({}, limited.headers);
    expect(child.body).toMatchObject({ models, ip_ranges: ['127.0.0.0/8'] });
    const narrow = await newKey({ models: ['bulkhead-rag'], ip_ranges: ['127.0.0.1'] }, limited.headers);
    expect(narrow.body).toMatchObject({ models: ['bulkhead-rag'], ip_ranges: ['127.0.0.1'] });
    for (const [param, fields] of [
      ['models.1', { models: ['bulkhead-rag', 'org/model-a'] }],
      ['ip_ranges.0', { ip_ranges: ['0.0.0.0/0'] }],
    ] as const) {
      const refused = await call(`POST ${KEYS}`, limited.headers, { user_id: 'x', ...fields });
      expect(refused).toMatchObject({ status: 403, body: { code: 'missing_scope', param } });
    }
  });
});

test.each([
  ['models', { models: [] }],
  ['models.0', { models: [''] }],
  ['ip_ranges', { ip_ranges: [] }],
  ['ip_ranges.1', { ip_ranges: ['10.0.0.0/8', '10.0.0.0/33'] }],
  ['ip_ranges.0', { ip_ranges: ['fe80::1%eth0'] }],
  ['ip_ranges.0', { ip_ranges: ['localhost'] }],
  ['last_used_at', { last_used_at: '2026-01-01T00:00:00Z' }],
])('a key with a bad %s is refused', async (param, fields) => {
  const { status, body } = await call(`POST ${KEYS}`, fixture.operator, { user_id: 'x', ...fields });
  expect([status, body.param]).toEqual([400, param]);
});

test('a tenant has so many live keys, and no more', async () => {
  const create = () => call('POST /admin/tenants/globex/keys', fixture.operator, { user_id: 'eve' });
  const first = await create();
  await fixture.database.asSystem((transaction) =>
    transaction.query(
      `INSERT INTO bulkhead.api_keys (key_id, tenant_id, user_id, role, scopes, name, secret_hmac)
       SELECT lpad(n::text, 26, '0'), 'globex', 'eve', 'member', '{chat}', 'many', md5(n::text) || md5(n::text)
         FROM generate_series(1, 10000 - (SELECT count(*)::int FROM bulkhead.api_keys WHERE tenant_id = 'globex')) AS n`,
    ),
  );
  expect(await create()).toMatchObject({ status: 409, body: { code: 'conflict' } });
  // Of another tenant, of course not.
  await newKey({});
  await call(`DELETE /admin/tenants/globex/keys/${first.body.key_id}`, fixture.operator);
  expect((await create()).status).toBe(201);
});
