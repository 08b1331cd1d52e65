import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { trustedIssuerSchema } from '#app/schemas/trusted-issuer.ts';
import { createRouterFixture } from '../../../test/support/router-fixture.ts';

const ISSUER = 'https://login.example.com/';
const pair = await generateKeyPair('ES256', { extractable: true });
let jwks: Server;
let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let wall = Date.now();

type Headers = Record<string, string>;
async function call(route: string, headers: Headers, payload?: object) {
  const [method, url = ''] = route.split(' ');
  const response = await fixture.app.inject({
    method: method as 'GET',
    url,
    headers,
    ...(payload === undefined ? {} : { payload }),
  });
  return { status: response.statusCode, body: response.json() };
}

/** A live token of the deployment's issuer. */
async function tokenOf(userId: string, tenantId = 'acme', roles: string[] = []): Promise<Headers> {
  const claims = { tenant_id: tenantId, roles };
  const token = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(ISSUER)
    .setAudience('bulkhead')
    .setSubject(userId)
    .setExpirationTime(Math.floor(wall / 1000) + 300)
    .sign(pair.privateKey);
  return { authorization: `Bearer ${token}` };
}

const MEMBERS = '/admin/tenants/acme/members';
const usage = async (headers: Headers) => {
  const { status, body } = await call('GET /v1/usage', headers);
  return status === 200 ? 'ok' : `${status} ${body.error.code}`;
};
const isAdmin = async (headers: Headers) => (await call('GET /admin/tenants/acme', headers)).status === 200;

beforeAll(async () => {
  const key = await exportJWK(pair.publicKey);
  jwks = createServer((_request, response) => response.end(JSON.stringify({ keys: [key] })));
  await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve));
  const jwks_url = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/`;
  fixture = await createRouterFixture({
    settings: {
      JWT_ISSUERS: [trustedIssuerSchema.parse({ issuer: ISSUER, audience: 'bulkhead', jwks_url })],
    },
    now: () => wall,
  });
  for (const tenant of ['acme', 'globex']) {
    await fixture.setConfig(tenant, { rate_limits: { requests_per_minute: null, requests_per_hour: null } });
  }
});
afterAll(async () => {
  await fixture.close();
  await new Promise((resolve) => jwks.close(resolve));
});

describe('removing a user', () => {
  test('ends every key and token of theirs, and nobody else’s', async () => {
    const keys = [await fixture.keyOf('acme', 'eve', 'admin'), await fixture.keyOf('acme', 'eve')];
    const token = await tokenOf('eve');
    const others = [
      await fixture.keyOf('acme', 'frank'),
      await tokenOf('frank'),
      await tokenOf('eve', 'globex'),
    ];
    for (const headers of [...keys, token, ...others]) expect(await usage(headers)).toBe('ok');
    const removed = await call(`DELETE ${MEMBERS}/eve`, fixture.operator);
    expect(removed).toMatchObject({ status: 200, body: { user_id: 'eve', status: 'removed' } });
    for (const headers of keys) expect(await usage(headers)).toBe('401 invalid_credential');
    expect(await usage(token)).toBe('403 not_a_member');
    for (const headers of others) expect(await usage(headers)).toBe('ok');
    const again = await call(`DELETE ${MEMBERS}/eve`, fixture.operator);
    expect(again.body.status).toBe('removed');
    // Neither does a key help that is made for them afterwards.
    expect(await usage(await fixture.keyOf('acme', 'eve'))).toBe('403 not_a_member');
  });

  test('is undone by adding them, and old keys stay revoked', async () => {
    const key = await fixture.keyOf('acme', 'gina');
    await call(`DELETE ${MEMBERS}/gina`, fixture.operator);
    const added = await call(`POST ${MEMBERS}`, fixture.operator, { user_id: 'gina' });
    expect(added).toMatchObject({ status: 201, body: { status: 'active', role: 'member' } });
    expect(await usage(await tokenOf('gina'))).toBe('ok');
    expect(await usage(key)).toBe('401 invalid_credential');
    expect(await call(`POST ${MEMBERS}`, fixture.operator, { user_id: 'gina' })).toMatchObject({
      status: 409,
      body: { code: 'conflict', param: 'user_id' },
    });
  });
});

describe('the listed role', () => {
  test('counts more than the token’s, and caps a key’s', async () => {
    const token = await tokenOf('hugo', 'acme', ['admin']);
    const adminKey = await fixture.keyOf('acme', 'hugo', 'admin');
    expect([await isAdmin(token), await isAdmin(adminKey)]).toEqual([true, true]);
    await call(`POST ${MEMBERS}`, fixture.operator, { user_id: 'hugo', role: 'member' });
    expect([await isAdmin(token), await isAdmin(adminKey)]).toEqual([false, false]);
    expect(await usage(adminKey)).toBe('ok');
    const changed = await call(`PATCH ${MEMBERS}/hugo`, fixture.operator, { role: 'admin' });
    expect(changed).toMatchObject({ status: 200, body: { role: 'admin' } });
    expect([await isAdmin(await tokenOf('hugo')), await isAdmin(adminKey)]).toEqual([true, true]);
    // A key of a lower role is not raised.
    expect(await isAdmin(await fixture.keyOf('acme', 'hugo', 'member'))).toBe(false);
  });

  test('is changed of members alone', async () => {
    for (const user of ['nobody', 'eve', '%2e%2e', 'a%2fb']) {
      expect(await call(`PATCH ${MEMBERS}/${user}`, fixture.operator, { role: 'admin' })).toMatchObject({
        status: 404,
        body: { code: 'not_found' },
      });
    }
  });
});

test('a tenant that lists its members takes tokens of these alone, and keys as before', async () => {
  const key = await fixture.keyOf('globex', 'iris');
  await fixture.setConfig('globex', { identity: { members: 'listed' } });
  expect(await usage(await tokenOf('iris', 'globex'))).toBe('403 not_a_member');
  expect(await usage(key)).toBe('ok');
  await call('POST /admin/tenants/globex/members', fixture.operator, { user_id: 'iris' });
  expect(await usage(await tokenOf('iris', 'globex'))).toBe('ok');
  expect(await usage(await tokenOf('jack', 'globex'))).toBe('403 not_a_member');
  const invited = await call('POST /admin/tenants/globex/members/invitations', fixture.operator, {});
  const accept = () =>
    tokenOf('jack', 'globex').then((headers) =>
      call('POST /admin/tenants/globex/members/accept', headers, { token: invited.body.token }),
    );
  expect(await accept()).toMatchObject({
    status: 200,
    body: { member: { user_id: 'jack', status: 'active' }, api_key: null },
  });
  expect(await usage(await tokenOf('jack', 'globex'))).toBe('ok');
  expect(await accept()).toMatchObject({ status: 401, body: { code: 'invalid_credential' } });
  await fixture.setConfig('globex', { identity: { members: 'open' } });
});

describe('an invitation of somebody who is put out', () => {
  const INVITATIONS = `${MEMBERS}/invitations`;
  const invite = async (headers: Headers, fields: object) => {
    const { status, body } = await call(`POST ${INVITATIONS}`, headers, fields);
    expect(status).toBe(201);
    return String(body.token);
  };
  const accept = async (token: string) => (await call(`POST ${MEMBERS}/accept`, {}, { token })).status;

  test('lets neither them in again, nor anybody whom they chose', async () => {
    const [first, second] = [
      await invite(fixture.operator, { user_id: 'oscar', role: 'admin' }),
      await invite(fixture.operator, { user_id: 'oscar', role: 'admin' }),
    ];
    const { body } = await call(`POST ${MEMBERS}/accept`, {}, { token: first });
    const oscar = { authorization: `Bearer ${body.api_key.api_key}` };
    const puppet = await invite(oscar, { user_id: 'oscars-puppet', role: 'admin' });
    const other = await invite(fixture.operator, { user_id: 'paula' });
    await call(`DELETE ${MEMBERS}/oscar`, fixture.operator);
    expect([await accept(second), await accept(puppet), await accept(other)]).toEqual([401, 401, 200]);
    expect(await usage(await tokenOf('oscar'))).toBe('403 not_a_member');
    const { body: audit } = await call(
      'GET /admin/audit?tenant_id=acme&action=invitation.revoked',
      fixture.operator,
    );
    expect(audit.data.slice(0, 2)).toMatchObject([
      { details: { user_id: expect.stringContaining('oscar'), reason: 'member.removed' } },
      { details: { user_id: expect.stringContaining('oscar'), reason: 'member.removed' } },
    ]);
  });

  test('ends with their being an admin', async () => {
    await call(`POST ${MEMBERS}`, fixture.operator, { user_id: 'quentin', role: 'admin' });
    const quentin = await fixture.keyOf('acme', 'quentin', 'admin');
    const [before, after] = [
      await invite(quentin, { user_id: 'quentins-puppet', role: 'admin' }),
      await invite(fixture.operator, { user_id: 'rosa' }),
    ];
    await call(`PATCH ${MEMBERS}/quentin`, fixture.operator, { role: 'member' });
    expect([await accept(before), await accept(after)]).toEqual([401, 200]);
  });
});

describe('an invitation', () => {
  const invite = async (fields: object) => {
    const { status, body } = await call(`POST ${MEMBERS}/invitations`, fixture.operator, fields);
    expect(status, JSON.stringify(body)).toBe(201);
    return body as { invitation_id: string; token: string };
  };
  const accept = (token: string, headers: Headers = {}, tenant = 'acme') =>
    call(`POST /admin/tenants/${tenant}/members/accept`, headers, { token });

  test('that names its user gives them a key, once', async () => {
    const { token } = await invite({ user_id: 'kate', role: 'admin', email: 'kate@example.com' });
    const attempts = await Promise.all([accept(token), accept(token), accept(token)]);
    expect(attempts.map(({ status }) => status).sort()).toEqual([200, 401, 401]);
    const { body } = attempts.find(({ status }) => status === 200) ?? {};
    expect(body).toMatchObject({ member: { user_id: 'kate', role: 'admin' }, api_key: { user_id: 'kate' } });
    expect(await isAdmin({ authorization: `Bearer ${body.api_key.api_key}` })).toBe(true);
    const { body: list } = await call(`GET ${MEMBERS}/invitations`, fixture.operator);
    expect(list.data[0]).toMatchObject({ accepted_by: 'kate', email: 'kate@example.com' });
    expect(JSON.stringify(list)).not.toMatch(/inv_|hmac|token/);
  });

  test('is worth nothing forged, to another tenant, after its end, and taken back', async () => {
    const { token, invitation_id: id } = await invite({ user_id: 'liam', expires_in_seconds: 60 });
    const forged = token.slice(0, -1) + (token.endsWith('A') ? 'B' : 'A');
    const bad = { status: 401, body: { code: 'invalid_credential', detail: 'The invitation is not valid.' } };
    for (const text of [forged, token.toUpperCase(), `${token} `, token.slice(4), "' OR '1'='1", id]) {
      expect(await accept(text)).toMatchObject(bad);
    }
    expect(await accept(token, {}, 'globex')).toMatchObject(bad);
    expect(await accept(token, {}, 'no-such-tenant')).toMatchObject(bad);
    const before = wall;
    wall += 60_000;
    expect(await accept(token)).toMatchObject(bad);
    wall = before;
    expect(await call(`DELETE ${MEMBERS}/invitations/${id}`, fixture.operator)).toMatchObject({
      status: 200,
    });
    expect(await accept(token)).toMatchObject(bad);
  });

  test('is for whom it names, and where it names nobody for who can show who they are', async () => {
    const named = await invite({ user_id: 'mia' });
    expect(await accept(named.token, await tokenOf('nina'))).toMatchObject({
      status: 403,
      body: { code: 'user_mismatch' },
    });
    expect(await accept(named.token, { authorization: 'Bearer x' })).toMatchObject({ status: 401 });
    expect(await accept(named.token, await tokenOf('mia', 'globex'))).toMatchObject({ status: 401 });
    expect(await accept(named.token, fixture.operator)).toMatchObject({ status: 401 });
    expect(await accept(named.token, await tokenOf('mia'))).toMatchObject({
      status: 200,
      body: { api_key: null },
    });
    const open = await invite({});
    expect(await accept(open.token)).toMatchObject({ status: 401, body: { code: 'missing_credential' } });
    expect(await accept(open.token, await tokenOf('nina'))).toMatchObject({
      status: 200,
      body: { member: { user_id: 'nina' } },
    });
  });

  test.each([
    ['role', { role: 'operator' }],
    ['role', { role: 'service' }],
    ['user_id', { user_id: '../x' }],
    ['email', { email: 'nobody' }],
    ['expires_in_seconds', { expires_in_seconds: 59 }],
    ['expires_in_seconds', { expires_in_seconds: 2_592_001 }],
    ['tenant_id', { tenant_id: 'globex' }],
  ])('with a bad %s is refused', async (param, fields) => {
    const { status, body } = await call(`POST ${MEMBERS}/invitations`, fixture.operator, fields);
    expect([status, body.param]).toEqual([400, param]);
  });
});

describe('a tenant’s admin', () => {
  test('reaches the own tenant alone, with the answer of one that does not exist', async () => {
    const admin = await fixture.keyOf('acme', 'root', 'admin');
    expect(await call(`GET ${MEMBERS}`, admin)).toMatchObject({ status: 200 });
    const answers: unknown[] = [];
    for (const tenant of ['globex', 'no-such-tenant']) {
      const base = `/admin/tenants/${tenant}/members`;
      for (const [route, payload] of [
        [`GET ${base}`, undefined],
        [`POST ${base}`, { user_id: 'x' }],
        [`PATCH ${base}/iris`, { role: 'member' }],
        [`DELETE ${base}/iris`, undefined],
        [`GET ${base}/invitations`, undefined],
        [`POST ${base}/invitations`, {}],
        [`DELETE ${base}/invitations/${'0'.repeat(26)}`, undefined],
      ] as const) {
        const { status, body } = await call(route, admin, payload);
        expect([route, status, body.code]).toEqual([route, 404, 'not_found']);
        answers.push(body.detail);
      }
    }
    expect(answers.slice(0, 7)).toEqual(answers.slice(7));
    expect(await usage(await tokenOf('iris', 'globex'))).toBe('ok');
  });

  test('cannot change themself, nor give more than they have', async () => {
    const admin = await fixture.keyOf('acme', 'root', 'admin');
    expect(await call(`DELETE ${MEMBERS}/root`, admin)).toMatchObject({ status: 409 });
    expect(await call(`PATCH ${MEMBERS}/root`, admin, { role: 'member' })).toMatchObject({ status: 409 });
    const weak = await fixture.keyOf('acme', 'weak', 'admin', ['tenant:admin', 'usage:read']);
    for (const [route, payload] of [
      [`POST ${MEMBERS}`, { user_id: 'puppet', role: 'admin' }],
      [`POST ${MEMBERS}/invitations`, { user_id: 'puppet', role: 'admin' }],
      [`PATCH ${MEMBERS}/kate`, { role: 'admin' }],
    ] as const) {
      expect(await call(route, weak, payload)).toMatchObject({
        status: 403,
        body: { code: 'missing_scope' },
      });
    }
  });
});

test('all of it is in the tenant’s audit, without a token in it', async () => {
  const { body } = await call('GET /admin/audit?tenant_id=acme&limit=100', fixture.operator);
  const actions = new Set(body.data.map(({ action }: { action: string }) => action));
  for (const action of [
    'member.added',
    'member.invited',
    'member.joined',
    'member.changed',
    'member.removed',
    'invitation.revoked',
    'key.revoked',
  ]) {
    expect(actions).toContain(action);
  }
  expect(JSON.stringify(body)).not.toMatch(/inv_|kate@/);
  const { body: verified } = await call('GET /admin/audit/verify?tenant_id=acme', fixture.operator);
  expect(verified.valid).toBe(true);
});
