import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sendRaw, statusesOf } from '#test/support/raw-http.ts';
import { createRouterFixture } from '#test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
beforeAll(async () => {
  fixture = await createRouterFixture();
});
afterAll(() => fixture.close());

const ask = async (
  method: 'GET' | 'PATCH' | 'POST',
  url: string,
  payload?: object,
  headers = fixture.operator,
) => {
  const request = { method, url, headers };
  const response = await fixture.app.inject(payload === undefined ? request : { ...request, payload });
  return { status: response.statusCode, body: response.json() };
};

/** Half of a surrogate pair, as clients send it that cut texts: JSON may hold it, and PostgreSQL may not. */
const HALF = 'half \ud83d of it';

describe('what PostgreSQL cannot store is a mistake of the caller, who is told where', () => {
  test.each<[string, 'PATCH' | 'POST', string, object]>([
    ['display_name', 'PATCH', '/admin/tenants/acme', { display_name: HALF }],
    ['blocked_tools.0', 'PATCH', '/admin/tenants/acme', { blocked_tools: [HALF] }],
    [
      'sensitive_patterns.0.name',
      'PATCH',
      '/admin/tenants/acme',
      { sensitive_patterns: [{ name: HALF, pattern: 'x' }] },
    ],
    [
      'refusal_rules.0.message',
      'PATCH',
      '/admin/tenants/acme',
      { refusal_rules: [{ name: 'a', phrases: ['b'], message: HALF }] },
    ],
    ['models.0', 'POST', '/admin/tenants/acme/keys', { user_id: 'bob', models: [HALF] }],
    ['name', 'POST', '/admin/tenants/acme/keys', { user_id: 'bob', name: HALF }],
    ['display_name', 'POST', '/admin/tenants', { tenant_id: 'fresh', display_name: HALF }],
    ['display_name', 'PATCH', '/%61dmin/tenants/acme', { display_name: HALF }],
    ['name', 'POST', '/adm%69n/tenants/acme/keys', { user_id: 'bob', name: HALF }],
  ])('%s of %s %s', async (param, method, url, payload) => {
    expect(await ask(method, url, payload)).toMatchObject({ status: 400, body: { param } });
  });

  test.each<[string, string]>([
    ['from', '/admin/tenants/acme/usage?from=0000-01-01T00:00:00Z'],
    ['to', '/admin/tenants/acme/usage?to=9999-12-31T23:59:59-10:00'],
    ['from', '/admin/usage?from=0001-01-01T00:00:00%2B10:00'],
    ['from', '/admin/tenants/acme/requests?from=0000-06-01T00:00:00Z'],
  ])('%s of %s', async (param, url) => {
    expect(await ask('GET', url)).toMatchObject({ status: 400, body: { param } });
  });

  test('times at either end are times', async () => {
    const range = 'from=0001-01-01T00:00:00Z&to=9999-12-31T23:59:59.999Z';
    for (const url of ['/admin/tenants/acme/usage', '/admin/usage', '/admin/tenants/acme/requests'])
      expect((await ask('GET', `${url}?${range}`)).status).toBe(200);
    const expires_at = '9999-12-31T23:59:59-10:00';
    expect(await ask('POST', '/admin/tenants/acme/keys', { user_id: 'bob', expires_at })).toMatchObject({
      status: 400,
      body: { param: 'expires_at' },
    });
  });

  test('in every spelling of the URL, and answered as problem details', async () => {
    const { app, operator } = fixture;
    const origin = await app.listen({ host: '127.0.0.1', port: 0 });
    const body = JSON.stringify({ display_name: HALF });
    for (const target of [
      '/admin/tenants/acme',
      '/%61dmin/tenants/acme',
      'http://any.host/admin/tenants/acme',
    ]) {
      const answer = await sendRaw(
        origin,
        `PATCH ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: ${operator.authorization}\r\n` +
          `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
      );
      expect([target, ...statusesOf(answer)]).toEqual([target, 400]);
      expect(answer).toContain('application/problem+json');
    }
    for (const url of ['/%61dmin/tenants/nobody', '/admin/nothing']) {
      const { headers } = await app.inject({ url, headers: operator });
      expect(headers['content-type'], url).toContain('application/problem+json');
    }
  });

  test('who chats may send it: clients cut texts where they like', async () => {
    const alice = await fixture.keyOf('acme', 'alice');
    expect((await ask('POST', '/v1/chat', { message: HALF }, alice)).status).toBe(200);
  });
});
