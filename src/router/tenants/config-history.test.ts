import { afterAll, beforeAll, expect, test } from 'vitest';
import { createRouterFixture } from '../../../test/support/router-fixture.ts';

let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let admin: { authorization: string };
const VERSIONS = '/admin/tenants/acme/config/versions';

beforeAll(async () => {
  fixture = await createRouterFixture();
  admin = await fixture.keyOf('acme', 'root', 'admin');
  await fixture.setConfig('acme', { blocked_tools: ['shell'] });
  await fixture.setConfig('acme', { weight: 7 });
});
afterAll(() => fixture.close());

async function call(route: string, headers: Record<string, string>, payload?: object) {
  const [method, url = ''] = route.split(' ');
  const response = await fixture.app.inject({
    method: method as 'GET',
    url,
    headers,
    ...(payload === undefined ? {} : { payload }),
  });
  return { status: response.statusCode, headers: response.headers, body: response.json() };
}

test('every version is listed, newest first and by pages, and shown as it was', async () => {
  const { body } = await call(`GET ${VERSIONS}`, admin);
  expect(body.data.map(({ version }: { version: number }) => version)).toEqual([3, 2, 1]);
  expect(body.data[0].author).toMatch(/^operator:/);
  const page = await call(`GET ${VERSIONS}?limit=1&after=3`, admin);
  expect(page.body).toMatchObject({ data: [{ version: 2 }], has_more: true, last_id: '2' });
  const second = await call(`GET ${VERSIONS}/2`, admin);
  expect(second.body).toMatchObject({ version: 2, config: { blocked_tools: ['shell'], weight: 1 } });
  expect(await call(`GET ${VERSIONS}?after=x`, admin)).toMatchObject({
    status: 400,
    body: { param: 'after' },
  });
});

test('what is not there answers alike, whatever is wrong', async () => {
  const strip = ({ instance: _instance, ...rest }: Record<string, unknown>) => rest;
  const bodies = await Promise.all(
    [`${VERSIONS}/99`, `${VERSIONS}/0`, `${VERSIONS}/1e1`, `${VERSIONS}/x`].map(async (url) => {
      const { status, body } = await call(`GET ${url}`, admin);
      expect(status).toBe(404);
      return strip(body);
    }),
  );
  for (const body of bodies) expect(body).toEqual(bodies[0]);
  for (const tenant of ['globex', 'no-such-tenant']) {
    const base = `/admin/tenants/${tenant}/config/versions`;
    for (const route of [`GET ${base}`, `GET ${base}/1`, `POST ${base}/1/restore`]) {
      expect(await call(route, admin)).toMatchObject({ status: 404, body: { code: 'not_found' } });
    }
  }
});

test('an earlier version is restored as a new one, by its ETag, and is in force', async () => {
  const stale = await call(`POST ${VERSIONS}/1/restore`, { ...fixture.operator, 'if-match': '"2"' });
  expect([stale.status, stale.body.code]).toEqual([412, 'precondition_failed']);
  const restored = await call(`POST ${VERSIONS}/1/restore`, { ...fixture.operator, 'if-match': '"3"' });
  expect(restored).toMatchObject({
    status: 200,
    headers: { etag: '"4"' },
    body: { version: 4, config: { blocked_tools: [], weight: 1 } },
  });
  const audit = await call('GET /admin/audit?tenant_id=acme', admin);
  expect(audit.body.data[0]).toMatchObject({
    action: 'tenant.changed',
    details: { version: 4, restored_version: 1, fields: ['blocked_tools', 'weight'] },
  });
});

test('a tenant’s admin restores what is theirs to change, and no more', async () => {
  await fixture.setConfig('acme', { blocked_tools: ['later'] });
  expect(await call(`POST ${VERSIONS}/2/restore`, admin)).toMatchObject({
    status: 200,
    body: { version: 6, config: { blocked_tools: ['shell'] } },
  });
  expect(await call(`POST ${VERSIONS}/3/restore`, admin)).toMatchObject({
    status: 403,
    body: { code: 'missing_scope', param: 'weight' },
  });
});

test('a version that is not valid any more is not restored, and the field is named', async () => {
  await fixture.database.asSystem((transaction) =>
    transaction.query(
      `INSERT INTO bulkhead.tenant_config_versions (tenant_id, config_version, config, author)
       VALUES ('acme', 1000, '{"tenant_id": "acme", "display_name": "acme", "weight": -1}', 'test'),
              ('acme', 1001, '{"tenant_id": "globex", "display_name": "acme"}', 'test')`,
    ),
  );
  for (const [version, param] of [
    [1000, 'weight'],
    [1001, 'tenant_id'],
  ] as const) {
    expect(await call(`POST ${VERSIONS}/${version}/restore`, fixture.operator)).toMatchObject({
      status: 409,
      body: { code: 'conflict', param },
    });
  }
  expect(await call('GET /admin/tenants/acme', admin)).toMatchObject({ body: { version: 6 } });
});

test('in production, a tenant’s issuers have their keys at public https addresses', async () => {
  const strict = await createRouterFixture({ settings: { NODE_ENV: 'production' } });
  try {
    const issuer = (jwks_url: string) => ({ issuer: 'https://login.example.com/', audience: 'x', jwks_url });
    const good = issuer('https://login.example.com/jwks');
    expect((await strict.setConfig('acme', { identity: { issuers: [good] } })).statusCode).toBe(200);
    for (const url of ['http://login.example.com/jwks', 'https://169.254.169.254/', 'https://localhost/']) {
      const refused = await strict.setConfig('acme', { identity: { issuers: [good, issuer(url)] } });
      expect([refused.statusCode, refused.json().param]).toEqual([400, 'identity.issuers.1.jwks_url']);
    }
  } finally {
    await strict.close();
  }
});
