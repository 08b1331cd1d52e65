import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { errorBodyOf } from '#test/support/error-body-of.ts';
import { createRouterFixture, type TurnScript, threeWords } from '#test/support/router-fixture.ts';

// What worked against other gateways and platforms, where no test beside the part itself tells of it.

type Headers = Record<string, string>;
let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let alice: Headers;
let admin: Headers;

beforeAll(async () => {
  fixture = await createRouterFixture();
  alice = await fixture.keyOf('acme', 'alice');
  admin = await fixture.keyOf('acme', 'ada', 'admin');
});
afterAll(() => fixture.close());

const send = (method: 'GET' | 'POST' | 'PATCH', url: string, headers: Headers, payload?: object | string) =>
  fixture.app.inject({
    method,
    url,
    headers: { ...headers, ...(payload === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(payload === undefined ? {} : { payload }),
  });

/** Every way to have a model answer, whole and streamed. */
const SURFACES: readonly [string, object][] = [
  ['/v1/chat', { message: 'hi', max_tokens: 5 }],
  [
    '/v1/chat/completions',
    { model: 'bulkhead-chat', messages: [{ role: 'user', content: 'hi' }], max_tokens: 5 },
  ],
  ['/v1/completions', { model: 'bulkhead-chat', prompt: 'hi', max_tokens: 5 }],
  ['/v1/responses', { model: 'bulkhead-chat', input: 'hi', max_output_tokens: 5 }],
];
const WAYS = SURFACES.flatMap(([url, body]) =>
  [false, true].map((stream): [string, boolean, object] => [url, stream, { ...body, stream }]),
);

describe('a newer route is no way around', () => {
  test.each(WAYS)(
    'the limit of tokens, the ledger and the price: %s, streamed: %s',
    async (url, stream, body) => {
      const limit = 100_000;
      await fixture.setConfig('globex', { rate_limits: { per_user: { tokens_per_minute: limit } } });
      const headers = await fixture.keyOf('globex', `settles-${url.replaceAll('/', '-')}-${stream}`);
      const response = await send('POST', url, headers, body);
      expect(response.statusCode, response.body).toBe(200);
      // 7 tokens of the prompt at $1 a million, 3 of the answer at $2.
      expect((await fixture.usageRows()).at(-1)).toMatchObject({
        prompt_tokens: 7,
        completion_tokens: 3,
        estimated_prompt_tokens: 0,
        cost_usd: '0.000013000',
        outcome: 'ok',
      });
      const next = await send('GET', '/v1/models', headers);
      expect(Number(next.headers['x-ratelimit-remaining-tokens'])).toBe(limit - 10);
    },
  );

  test.each([...WAYS, ['/v1/embeddings', false, { model: 'bulkhead-embed', input: 'hi' }] as const])(
    'a budget that is spent: %s, streamed: %s',
    async (url, _stream, body) => {
      await fixture.setConfig('globex', { budget_usd_per_month: 0 });
      const headers = await fixture.keyOf('globex', 'spent');
      const before = fixture.turns.length;
      const response = await send('POST', url, headers, body);
      await fixture.setConfig('globex', { budget_usd_per_month: null });
      expect([response.statusCode, errorBodyOf(response).code]).toEqual([429, 'budget_exceeded']);
      expect(fixture.turns).toHaveLength(before);
    },
  );

  test.each(WAYS)('the scan of an answer, split anywhere: %s, streamed: %s', async (url, _stream, body) => {
    const sensitive_patterns = [
      { name: 'project', pattern: 'bluebird', action: 'redact', applies_to: 'output' },
    ];
    await fixture.setConfig('globex', { sensitive_patterns });
    const headers = await fixture.keyOf('globex', 'split');
    const inPieces: TurnScript = async function* (context, request, signal) {
      for await (const event of threeWords(context, request, signal)) {
        if (event.type === 'delta') continue;
        if (event.type === 'finished') {
          for (const text of 'it is the Bluebird plan') yield { type: 'delta', text };
        }
        yield event;
      }
    };
    fixture.script.turn = inPieces;
    const response = await send('POST', url, headers, body);
    fixture.script.turn = threeWords;
    await fixture.setConfig('globex', { sensitive_patterns: [] });
    expect(response.statusCode).toBe(200);
    const text = response.body.replaceAll(/"(?:delta|content|text)":"([^"]*)"|[^"]|"/g, '$1');
    expect(`${response.body}${text}`.toLowerCase()).not.toContain('bluebird');
    expect(response.body).toContain('plan');
  });
});

test('fields that name an owner are no fields: tenantId, owner, role and their like make nothing another’s', async () => {
  const claims = {
    tenantId: 'globex',
    tenant: 'globex',
    userId: 'bob',
    owner: 'bob',
    role: 'admin',
    scopes: ['tenant:admin'],
  };
  for (const [url, body] of SURFACES) {
    const response = await send('POST', url, alice, { ...body, ...claims });
    if (url === '/v1/chat') expect(response.statusCode).toBe(400);
    else expect(response.statusCode).toBe(200);
  }
  const rows = await fixture.usageRows();
  const own = rows.filter(({ tenant_id }) => tenant_id === 'acme');
  expect(own.length).toBeGreaterThanOrEqual(4);
  expect(new Set(own.map(({ user_id }) => user_id))).toEqual(new Set(['alice']));
  for (const [name, value] of Object.entries({ tenantId: 'globex', tenant_id: 'globex', key_id: 'mine' })) {
    const made = await send('POST', '/admin/tenants/acme/keys', admin, { user_id: 'x', [name]: value });
    expect(made.statusCode).toBe(400);
  }
  expect((await send('PATCH', '/admin/tenants/acme', admin, { tenant_id: 'globex' })).statusCode).toBe(400);
});

test('to create what is another’s already changes nothing of it', async () => {
  const before = await send('GET', '/admin/tenants/globex', fixture.operator);
  const body = { tenant_id: 'globex', display_name: 'Mine now', allowed_routes: [] };
  expect((await send('POST', '/admin/tenants', admin, body)).statusCode).toBe(403);
  expect((await send('POST', '/admin/tenants', fixture.operator, body)).statusCode).toBe(409);
  const after = await send('GET', '/admin/tenants/globex', fixture.operator);
  expect(after.json()).toEqual(before.json());
});

test.each([
  '../globex',
  '..%2fglobex',
  '%2e%2e/globex',
  'acme/../globex',
  'acme%2f..%2fglobex',
  '..\\globex',
  'globex%00',
])('a path that climbs leads nowhere: %s', async (name) => {
  for (const path of [
    `/admin/tenants/${name}`,
    `/admin/tenants/${name}/keys`,
    `/v1/vault/documents/${name}`,
  ]) {
    const response = await send('GET', path, path.startsWith('/v1') ? alice : admin);
    expect([400, 403, 404]).toContain(response.statusCode);
    expect(response.body).not.toContain('Globex');
  }
  const search = await send('POST', '/v1/vault/search', alice, { query: 'x', collection: name });
  expect(search.statusCode).toBe(400);
});

test.each([
  '{',
  '[]',
  'null',
  '"x"',
  '1e999',
  '{"messages":{"length":1e9}}',
  '{"messages":[null]}',
  '{"message":{"toString":1}}',
  '{"model":[],"messages":[{"role":{},"content":[[[]]]}]}',
  '{"__proto__":{"isAdmin":true}}',
  '\u0000',
  '{"stream":"yes","message":1}',
])('a malformed body is answered, and the next request is served: %j', async (payload) => {
  for (const [url] of SURFACES) {
    const response = await send('POST', url, alice, payload);
    expect(response.statusCode).toBe(400);
    expect(errorBodyOf(response).code).not.toBe('internal_error');
  }
  for (const url of ['/admin/tenants/acme/keys', '/admin/policy/dry-run']) {
    expect((await send('POST', url, admin, payload)).statusCode).toBe(400);
  }
  expect((await send('GET', '/v1/models', alice)).statusCode).toBe(200);
});
