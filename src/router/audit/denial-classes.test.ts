import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { auditPageSchema } from '#app/schemas/audit-event.ts';
import { trustedIssuerSchema } from '#app/schemas/trusted-issuer.ts';
import { DENIALS } from '#router/audit/denials.ts';
import { createRouterFixture, seamRag } from '#test/support/router-fixture.ts';

const ISSUER = 'https://login.example.com/';
const pair = await generateKeyPair('ES256', { extractable: true });

type Headers = Record<string, string>;
let fixture: Awaited<ReturnType<typeof createRouterFixture>>;
let jwks: Server;
let alice: Headers;

beforeAll(async () => {
  const key = await exportJWK(pair.publicKey);
  jwks = createServer((_request, response) => response.end(JSON.stringify({ keys: [key] })));
  await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve));
  const jwks_url = `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/`;
  fixture = await createRouterFixture({
    // The seam keeps no sums: see storage-limits.test.ts for the limit itself.
    rag: {
      ...seamRag(),
      addDocument: async () => {
        throw new BulkheadError('storage_exceeded', 'The storage is full.');
      },
    },
    settings: {
      JWT_ISSUERS: [trustedIssuerSchema.parse({ issuer: ISSUER, audience: 'bulkhead', jwks_url })],
    },
  });
  alice = await fixture.keyOf('acme', 'alice');
});
afterAll(async () => {
  await fixture?.close();
  await new Promise((resolve) => jwks.close(resolve));
});

async function codeOf(method: 'GET' | 'POST', url: string, headers: Headers, payload?: object) {
  const response = await fixture.app.inject({
    method,
    url,
    headers,
    ...(payload === undefined ? {} : { payload }),
  });
  return response.statusCode < 400 ? 'ok' : (response.json().error?.code ?? response.json().code);
}

const ask = (headers: Headers, more: object = {}) =>
  codeOf('POST', '/v1/chat/completions', headers, {
    model: 'org/model-a',
    messages: [{ role: 'user', content: 'the swordfish is ours' }],
    ...more,
  });

/** Asks under a policy of acme, and puts the one of before back. */
async function under(
  policy: Record<string, unknown>,
  back: Record<string, unknown>,
  code: () => Promise<string>,
) {
  expect((await fixture.setConfig('acme', policy)).statusCode).toBe(200);
  try {
    return await code();
  } finally {
    await fixture.setConfig('acme', back);
  }
}

async function tokenOf(userId: string): Promise<Headers> {
  const token = await new SignJWT({ tenant_id: 'acme' })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(ISSUER)
    .setAudience('bulkhead')
    .setSubject(userId)
    .setExpirationTime('5 minutes')
    .sign(pair.privateKey);
  return { authorization: `Bearer ${token}` };
}

async function limitedKey(fields: object): Promise<Headers> {
  const response = await fixture.app.inject({
    method: 'POST',
    url: '/admin/tenants/acme/keys',
    headers: fixture.operator,
    payload: { user_id: 'alice', ...fields },
  });
  return { authorization: `Bearer ${response.json().api_key}` };
}

/** One way to each denial that there is. */
const WAYS: Readonly<Record<string, () => Promise<string>>> = {
  missing_credential: () => codeOf('GET', '/v1/usage', {}),
  invalid_credential: () => codeOf('GET', '/v1/usage', { authorization: 'Bearer nonsense' }),
  tenant_mismatch: () => codeOf('GET', '/v1/usage', { ...alice, 'x-tenant-id': 'globex' }),
  user_mismatch: () => codeOf('POST', '/v1/chat', alice, { message: 'x', user_id: 'bob' }),
  missing_scope: () => codeOf('GET', '/admin/tenants/acme', alice),
  tenant_disabled: () =>
    under({ enabled: false }, { enabled: true }, () => codeOf('GET', '/v1/usage', alice)),
  not_a_member: () =>
    under({ identity: { members: 'listed' } }, { identity: { members: 'open' } }, async () =>
      codeOf('GET', '/v1/usage', await tokenOf('stranger')),
    ),
  address_not_allowed: async () =>
    codeOf('GET', '/v1/usage', await limitedKey({ ip_ranges: ['192.0.2.0/24'] })),
  route_not_allowed: () =>
    under(
      { allowed_routes: ['chat'] },
      { allowed_routes: ['chat', 'rag', 'direct', 'vault', 'search', 'conversations', 'usage'] },
      () => codeOf('GET', '/v1/usage', alice),
    ),
  model_not_allowed: () => under({ models: ['org/model-b'] }, { models: null }, () => ask(alice)),
  tool_blocked: () =>
    under({ blocked_tools: ['shell'] }, { blocked_tools: [] }, () =>
      ask(alice, { tools: [{ type: 'function', function: { name: 'shell', parameters: {} } }] }),
    ),
  guardrail_refused: () =>
    under({ sensitive_patterns: [{ name: 'code', pattern: 'swordfish' }] }, { sensitive_patterns: [] }, () =>
      ask(alice),
    ),
  rate_limit_exceeded: () =>
    under({ rate_limits: { requests_per_minute: 1 } }, { rate_limits: { requests_per_minute: 1_000 } }, () =>
      ask(alice),
    ),
  budget_exceeded: () =>
    under({ budget_usd_per_month: 0.000_000_1 }, { budget_usd_per_month: null }, async () => {
      await ask(alice);
      return ask(alice);
    }),
  storage_exceeded: async () => {
    const response = await fixture.app.inject({
      method: 'POST',
      url: '/v1/vault/documents',
      headers: { ...alice, 'content-type': 'multipart/form-data; boundary=x' },
      payload:
        '--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n',
    });
    return response.json().error.code;
  },
};

test('every kind of denial is in the audit, with who, what and why, and without what was said', async () => {
  expect(Object.keys(WAYS).sort()).toEqual([...DENIALS].sort());
  // A first request, so that the limit of one is reached.
  expect(await codeOf('GET', '/v1/usage', alice)).toBe('ok');
  for (const [code, way] of Object.entries(WAYS)) expect([code, await way()]).toEqual([code, code]);

  const audited = async () => {
    const pages = await Promise.all(
      ['', '&tenant_id=acme'].map(async (tenant) => {
        const url = `/admin/audit?action=request.denied&limit=100${tenant}`;
        const response = await fixture.app.inject({ url, headers: fixture.operator });
        return auditPageSchema.parse(response.json()).data;
      }),
    );
    return pages.flat();
  };
  const codesOf = (events: Awaited<ReturnType<typeof audited>>) =>
    [...new Set(events.map(({ details }) => String(details.code)))].sort();
  await expect.poll(async () => codesOf(await audited()), { timeout: 30_000 }).toEqual([...DENIALS].sort());
  const events = await audited();
  expect(JSON.stringify(events)).not.toMatch(/swordfish|nonsense|bk_/);
  for (const event of events) {
    const isKnown = !['missing_credential', 'invalid_credential'].includes(String(event.details.code));
    expect(event).toMatchObject({
      outcome: 'denied',
      target: expect.stringMatching(/^(?:GET|POST) \/(?:v1|admin)\//),
      tenant_id: isKnown ? 'acme' : null,
      actor: isKnown ? expect.stringMatching(/^acme\//) : 'anonymous',
    });
  }
});
