import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRouterFixture } from '#test/support/router-fixture.ts';

const PAGE = 'https://chat.example.com';
const STRANGER = 'https://evil.example';
const preflight = (origin: string, method = 'POST') => ({
  origin,
  'access-control-request-method': method,
  'access-control-request-headers': 'authorization,content-type,x-stainless-lang',
});
const corsHeaders = (headers: Record<string, unknown>) =>
  Object.keys(headers).filter((name) => name.startsWith('access-control-'));

type Fixture = Awaited<ReturnType<typeof createRouterFixture>>;
let open: Fixture;
let closed: Fixture;
let key: { authorization: string };
beforeAll(async () => {
  [open, closed] = await Promise.all([
    createRouterFixture({ settings: { CORS_ALLOWED_ORIGINS: [PAGE, 'http://localhost:5173'] } }),
    createRouterFixture(),
  ]);
  key = await open.keyOf('acme');
});
afterAll(() => Promise.all([open.close(), closed.close()]));

const ask = (origin: string, headers: Record<string, string>, body: object) =>
  open.app.inject({
    method: 'POST',
    url: '/v1/chat/completions',
    headers: { origin, ...headers },
    payload: { model: 'bulkhead-rag', messages: [{ role: 'user', content: 'hello' }], ...body },
  });

describe('a page of an origin that is allowed', () => {
  it.each(['/v1/chat/completions', '/v1/files/x', '/admin/tenants', '/v1/nothing'])(
    'learns of %s that it may ask, without a credential',
    async (url) => {
      const { statusCode, headers, body } = await open.app.inject({
        method: 'OPTIONS',
        url,
        headers: preflight(PAGE),
      });
      expect([statusCode, body]).toEqual([204, '']);
      expect(headers).toMatchObject({
        'access-control-allow-origin': PAGE,
        'access-control-allow-methods': expect.stringContaining('DELETE'),
        'access-control-allow-headers': 'authorization,content-type,x-stainless-lang',
        'access-control-max-age': '600',
        vary: expect.stringContaining('Origin'),
      });
      expect(headers['access-control-allow-credentials']).toBeUndefined();
    },
  );

  it('reads answers, streams and refusals, and their headers', async () => {
    for (const response of [
      await ask(PAGE, key, {}),
      await ask(PAGE, key, { stream: true }),
      await ask(PAGE, {}, {}),
      await ask(PAGE, key, { messages: [] }),
    ]) {
      expect(response.headers['access-control-allow-origin'], response.body).toBe(PAGE);
      expect(response.headers.vary).toContain('Origin');
      const exposed = String(response.headers['access-control-expose-headers']).split(', ');
      const told = Object.keys(response.headers).filter((name) =>
        /^(x-request|x-rate|ratelimit|www-)/.test(name),
      );
      expect(told).toContain('x-request-id');
      expect(exposed).toEqual(expect.arrayContaining(told));
    }
  });
});

it('a page of another origin is told nothing, nor is a program', async () => {
  for (const origin of [
    STRANGER,
    'null',
    `${PAGE}.evil.example`,
    'http://chat.example.com',
    PAGE.toUpperCase(),
  ]) {
    const refused = await open.app.inject({
      method: 'OPTIONS',
      url: '/v1/chat/completions',
      headers: preflight(origin),
    });
    expect(refused.headers['access-control-allow-origin']).toBeUndefined();
    expect((await ask(origin, key, {})).headers['access-control-allow-origin']).toBeUndefined();
  }
  const program = await open.app.inject({ url: '/v1/models', headers: key });
  expect(program.statusCode).toBe(200);
  expect(program.headers['access-control-allow-origin']).toBeUndefined();
});

it('without the setting there is none of it', async () => {
  const { statusCode, headers } = await closed.app.inject({
    method: 'OPTIONS',
    url: '/v1/chat/completions',
    headers: preflight(PAGE),
  });
  expect([statusCode, corsHeaders(headers)]).toEqual([405, []]);
  const answered = await closed.app.inject({
    url: '/v1/models',
    headers: { ...(await closed.keyOf('acme')), origin: PAGE },
  });
  expect([answered.statusCode, corsHeaders(answered.headers)]).toEqual([200, []]);
});

it('every origin, where the setting says so', async () => {
  const fixture = await createRouterFixture({ settings: { CORS_ALLOWED_ORIGINS: ['*'] } });
  try {
    const response = await fixture.app.inject({ url: '/v1/models', headers: { origin: STRANGER } });
    expect(response.statusCode).toBe(401);
    expect(response.headers).toMatchObject({ 'access-control-allow-origin': '*' });
    expect(response.headers['access-control-allow-credentials']).toBeUndefined();
  } finally {
    await fixture.close();
  }
});
