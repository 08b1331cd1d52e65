import { get } from 'node:http';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadSettings } from '#app/settings/load-settings.ts';
import { createLogger } from '#observability/logger.ts';
import { createRouterFixture } from '../../../test/support/router-fixture.ts';

const PROXY = '10.0.0.7';
let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let key: { authorization: string };
const log: string[] = [];

beforeAll(async () => {
  const destination = new Writable({
    write(chunk, _encoding, done) {
      log.push(String(chunk));
      done();
    },
  });
  fixture = await createRouterFixture({
    settings: { TRUST_TENANT_HEADER: true, TRUSTED_PROXIES: ['10.0.0.0/24', '2001:db8::7'] },
    logger: createLogger({ level: 'warn', service: 'router', destination }),
  });
  await fixture.setConfig('acme', { rate_limits: { requests_per_minute: null, requests_per_hour: null } });
  key = await fixture.keyOf('acme', 'alice');
});
afterAll(() => fixture.close());

async function ask(headers: Record<string, string>, remoteAddress: string, url = '/v1/usage') {
  const response = await fixture.app.inject({ url, headers, remoteAddress });
  return { status: response.statusCode, body: response.json() };
}

test('the mode says so at the start, with the proxies that it trusts', () => {
  const line = log.find((text) => text.includes('trust_tenant_header'));
  expect(line).toContain('TRUST_TENANT_HEADER is on');
  expect(line).toContain('10.0.0.0/24');
});

test('the mode without a proxy, and a proxy that is no range, do not start', async () => {
  expect(() => loadSettings({ TRUST_TENANT_HEADER: 'on' })).toThrow('TRUSTED_PROXIES');
  expect(() => loadSettings({ TRUST_TENANT_HEADER: 'on', TRUSTED_PROXIES: ' , ' })).toThrow(
    'TRUSTED_PROXIES',
  );
  expect(() => loadSettings({ TRUSTED_PROXIES: '10.0.0.0/8,proxy.example' })).toThrow('TRUSTED_PROXIES.1');
  await expect(createRouterFixture({ settings: { TRUST_TENANT_HEADER: true } })).rejects.toThrow(
    'TRUSTED_PROXIES',
  );
  const { TRUSTED_PROXIES } = loadSettings({ TRUST_TENANT_HEADER: 'on', TRUSTED_PROXIES: '10.0.0.0/8, ::1' });
  expect(TRUSTED_PROXIES).toEqual(['10.0.0.0/8', '::1']);
});

describe('from a listed proxy, without a credential', () => {
  test.each([['10.0.0.7'], ['::ffff:10.0.0.7'], ['2001:db8::7']])(
    'the headers name tenant and user (%s)',
    async (from) => {
      const { status, body } = await ask({ 'x-tenant-id': 'acme', 'x-user-id': 'bea' }, from);
      expect(status).toBe(200);
      expect(body.data.every(({ user_id }: { user_id: string }) => user_id === 'bea')).toBe(true);
    },
  );

  test('no user is the user anonymous, and nobody is ever an admin or the operator', async () => {
    await ask({ 'x-tenant-id': 'globex' }, PROXY);
    const rows = await fixture.usageRows();
    expect(rows.findLast((row) => row.tenant_id === 'globex')).toMatchObject({ user_id: 'anonymous' });
    for (const url of ['/admin/tenants', '/admin/tenants/acme', '/admin/tenants/acme/keys']) {
      const { status, body } = await ask(
        { 'x-tenant-id': 'acme', 'x-user-id': 'root', 'x-role': 'admin' },
        PROXY,
        url,
      );
      expect([status, body.code]).toEqual([403, 'missing_scope']);
    }
  });

  test.each([
    ['no tenant', {}, 'missing_credential'],
    ['a user without a tenant', { 'x-user-id': 'alice' }, 'missing_credential'],
    ['a tenant in capitals', { 'x-tenant-id': 'ACME' }, 'invalid_credential'],
    ['two tenants in one', { 'x-tenant-id': 'acme, globex' }, 'invalid_credential'],
    ['a path', { 'x-tenant-id': '../acme' }, 'invalid_credential'],
    ['an empty tenant', { 'x-tenant-id': '' }, 'invalid_credential'],
    ['a tenant that does not exist', { 'x-tenant-id': 'nobody' }, 'invalid_credential'],
    ['two users in one', { 'x-tenant-id': 'acme', 'x-user-id': 'alice, bob' }, 'invalid_credential'],
    ['an empty user', { 'x-tenant-id': 'acme', 'x-user-id': '' }, 'invalid_credential'],
    ['the tenant with underscores', { x_tenant_id: 'acme', 'x-user-id': 'alice' }, 'missing_credential'],
  ])('%s is refused', async (_what, headers: Record<string, string>, code) => {
    const { status, body } = await ask(headers, PROXY);
    expect([status, body.error.code]).toEqual([401, code]);
  });
});

describe('from anywhere else', () => {
  test.each([
    ['the next address', '10.0.1.7', {}],
    ['loopback', '127.0.0.1', {}],
    ['IPv6 that looks like the proxy', '::a00:7', {}],
    ['another address, forwarded for the proxy', '203.0.113.9', { 'x-forwarded-for': PROXY }],
    [
      'another address, with other such headers',
      '203.0.113.9',
      { 'x-real-ip': PROXY, forwarded: `for=${PROXY}`, 'client-ip': PROXY },
    ],
  ])('%s needs a credential', async (_what, from, extra: Record<string, string>) => {
    const { status, body } = await ask({ 'x-tenant-id': 'acme', 'x-user-id': 'alice', ...extra }, from);
    expect([status, body.error.code]).toEqual([401, 'missing_credential']);
  });
});

describe('beside a credential', () => {
  test.each([
    ['its own tenant and user', { 'x-tenant-id': 'acme', 'x-user-id': 'alice' }, 200, null],
    ['another tenant', { 'x-tenant-id': 'globex' }, 403, 'tenant_mismatch'],
    ['another user', { 'x-tenant-id': 'acme', 'x-user-id': 'bob' }, 403, 'user_mismatch'],
  ])('%s', async (_what, headers: Record<string, string>, status, code) => {
    for (const from of [PROXY, '203.0.113.9']) {
      const answer = await ask({ ...key, ...headers }, from);
      expect([answer.status, answer.body.error?.code ?? null]).toEqual([status, code]);
    }
  });

  test('a bad one is not saved by the headers', async () => {
    const { status, body } = await ask({ authorization: 'Bearer x', 'x-tenant-id': 'acme' }, PROXY);
    expect([status, body.error.code]).toEqual([401, 'invalid_credential']);
  });
});

test('without the mode the headers are no credential, wherever they come from', async () => {
  const closed = await createRouterFixture({ settings: { TRUSTED_PROXIES: ['10.0.0.0/24'] } });
  try {
    const headers = { 'x-tenant-id': 'acme', 'x-user-id': 'alice' };
    const response = await closed.app.inject({ url: '/v1/usage', headers, remoteAddress: PROXY });
    expect([response.statusCode, response.json().error.code]).toEqual([401, 'missing_credential']);
  } finally {
    await closed.close();
  }
});

test('a header that is sent twice names nobody, over a real connection', async () => {
  const open = await createRouterFixture({
    settings: { TRUST_TENANT_HEADER: true, TRUSTED_PROXIES: ['127.0.0.0/8'] },
  });
  try {
    const base = await open.app.listen({ port: 0, host: '127.0.0.1' });
    const statusOf = (headers: Record<string, string | string[]>) =>
      new Promise((resolve, reject) => {
        get(`${base}/v1/usage`, { headers, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        }).on('error', reject);
      });
    expect(await statusOf({ 'X-Tenant-Id': 'acme', 'X-User-Id': 'alice' })).toBe(200);
    expect(await statusOf({ 'X-Tenant-Id': ['acme', 'globex'] })).toBe(401);
    expect(await statusOf({ 'X-Tenant-Id': ['acme', 'acme'] })).toBe(401);
    expect(await statusOf({ 'X-Tenant-Id': 'acme', 'X-User-Id': ['alice', 'bob'] })).toBe(401);
  } finally {
    await open.close();
  }
});
