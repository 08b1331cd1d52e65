import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAddressRanges } from '#app/addresses.ts';
import { newRequestId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { silentLogger } from '#observability/logger.ts';
import { formatApiKey, newApiKey, parseApiKey } from '#router/identity/api-key.ts';
import { type ApiKeyStore, createApiKeyStore } from '#router/identity/api-key-store.ts';
import { createApiKeyVerifier } from '#router/identity/api-key-verifier.ts';
import { createAuthenticator } from '#router/identity/authenticator.ts';
import { createStrangerLane } from '#router/identity/stranger-lane.ts';
import { createMemberStore } from '#router/members/member-store.ts';
import { createMembershipCache } from '#router/members/membership-cache.ts';
import { createPolicyCache } from '#router/tenants/policy-cache.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { createTestDatabase } from '../../../test/support/create-test-database.ts';

const PEPPER = 'a pepper of at least thirty-two characters';
const acme = tenantIdSchema.parse('acme');
const globex = tenantIdSchema.parse('globex');
const alice = userIdSchema.parse('alice');

let open: Awaited<ReturnType<typeof createTestDatabase>>;
let store: ApiKeyStore;
const clock = { wall: Date.parse('2026-01-01T00:00:00Z'), time: 0 };

function identity() {
  const tenants = createTenantStore({ database: open.database });
  const monotonicNow = () => clock.time;
  const verifier = createApiKeyVerifier({
    store,
    pepper: PEPPER,
    now: () => clock.wall,
    monotonicNow,
    logger: silentLogger,
  });
  const policies = createPolicyCache({ store: tenants, monotonicNow, logger: silentLogger });
  store.onChanged((keyId) => verifier.forget(keyId));
  tenants.onChanged((tenantId) => policies.forget(tenantId));
  const authenticator = createAuthenticator({
    verifier,
    policies,
    trustedProxies: createAddressRanges([]),
    trustTenantHeader: false,
    memberships: createMembershipCache({ store: createMemberStore({ database: open.database }) }),
    lastUsed: { record: () => {} },
    strangers: createStrangerLane(),
  });
  const authenticate = (headers: Record<string, string>, rawHeaders = Object.entries(headers).flat()) =>
    authenticator.authenticate({
      headers,
      rawHeaders,
      requestId: newRequestId(),
      socketAddress: '127.0.0.1',
    });
  return { tenants, verifier, policies, authenticate };
}

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const memberOfAcme = () =>
  store.create({
    tenantId: acme,
    userId: alice,
    role: 'member',
    scopes: ['chat', 'vault:share', 'tenant:admin'],
    name: 'test',
    expiresAt: null,
  });

beforeAll(async () => {
  open = await createTestDatabase();
  store = createApiKeyStore({ database: open.database, pepper: PEPPER });
  const tenants = createTenantStore({ database: open.database });
  for (const tenant_id of [acme, globex]) {
    await tenants.create(tenantConfigSchema.parse({ tenant_id, display_name: tenant_id }), 'test');
  }
});
afterAll(() => open.close());

describe('an API key', () => {
  test('reads back as it was written, and nothing else reads at all', () => {
    const key = newApiKey();
    expect(parseApiKey(formatApiKey(key))).toEqual(key);
    const text = formatApiKey(key);
    for (const other of [
      '',
      `${text} `,
      `${text}x`,
      text.slice(0, -1),
      text.toUpperCase(),
      `x${text}`,
      "' OR '1'='1",
    ]) {
      expect(parseApiKey(other)).toBeNull();
    }
  });

  test('is stored as a hash only', async () => {
    const created = await memberOfAcme();
    const secret = parseApiKey(created.api_key)?.secret ?? 'none';
    const rows = await open.database.asSystem((transaction) =>
      transaction.query('SELECT * FROM bulkhead.api_keys'),
    );
    expect(JSON.stringify(rows)).not.toContain(secret);
  });

  test('grants its scopes as far as its role may have them', async () => {
    const created = await memberOfAcme();
    const principal = await identity().authenticate(bearer(created.api_key));
    expect(principal).toMatchObject({
      kind: 'tenant',
      context: { tenantId: 'acme', userId: 'alice', role: 'member', scopes: ['chat'], keyId: created.key_id },
    });
  });

  test('works in x-api-key and api-key, alone or alike', async () => {
    const { api_key } = await memberOfAcme();
    const { authenticate } = identity();
    for (const headers of [
      { 'x-api-key': api_key },
      { 'api-key': api_key },
      { 'x-api-key': api_key, ...bearer(api_key) },
    ]) {
      expect((await authenticate(headers)).kind).toBe('tenant');
    }
  });

  test.each([
    ['nothing', {}, 'missing_credential'],
    ['an empty key', { 'x-api-key': '' }, 'invalid_credential'],
    ['Basic', { authorization: 'Basic YTpi' }, 'invalid_credential'],
    ['SQL', { authorization: "Bearer ' OR '1'='1" }, 'invalid_credential'],
    ['SQL in x-api-key', { 'x-api-key': "' OR '1'='1" }, 'invalid_credential'],
    ['an unknown key', bearer(formatApiKey(newApiKey())), 'invalid_credential'],
    ['something huge', bearer('x'.repeat(10_000)), 'invalid_credential'],
  ])('is refused: %s', async (_name, headers, code) => {
    await expect(identity().authenticate(headers)).rejects.toMatchObject({ code });
  });

  test('is refused with another secret, however much of it is the same', async () => {
    const { api_key } = await memberOfAcme();
    const { authenticate } = identity();
    expect((await authenticate(bearer(api_key))).kind).toBe('tenant');
    const last = api_key.endsWith('A') ? 'B' : 'A';
    const forged = api_key.slice(0, -1) + last;
    await expect(authenticate(bearer(forged))).rejects.toMatchObject({ code: 'invalid_credential' });
    expect((await authenticate(bearer(api_key))).kind).toBe('tenant');
  });

  test('is refused when two differ, and when a header is doubled', async () => {
    const [one, two] = [await memberOfAcme(), await memberOfAcme()];
    const { authenticate } = identity();
    await expect(authenticate({ ...bearer(one.api_key), 'x-api-key': two.api_key })).rejects.toMatchObject({
      code: 'invalid_credential',
    });
    const value = `Bearer ${one.api_key}`;
    await expect(
      authenticate({ authorization: value }, ['Authorization', value, 'authorization', value]),
    ).rejects.toMatchObject({ code: 'invalid_credential' });
  });

  test('expires by the clock, even while a verdict is remembered', async () => {
    const created = await store.create({
      tenantId: acme,
      userId: alice,
      role: 'member',
      scopes: ['chat'],
      name: 'short',
      expiresAt: new Date(clock.wall + 1_000),
    });
    const { verifier } = identity();
    expect(await verifier.verify(created.api_key)).not.toBeNull();
    clock.wall += 1_000;
    expect(await verifier.verify(created.api_key)).toBeNull();
  });

  test('is revoked at once here, and within two seconds elsewhere', async () => {
    const created = await memberOfAcme();
    const here = identity();
    const elsewhere = createApiKeyVerifier({
      store: createApiKeyStore({ database: open.database, pepper: PEPPER }),
      pepper: PEPPER,
      now: () => clock.wall,
      monotonicNow: () => clock.time,
      logger: silentLogger,
    });
    expect(await here.verifier.verify(created.api_key)).not.toBeNull();
    expect(await elsewhere.verify(created.api_key)).not.toBeNull();
    await expect(store.revoke(globex, created.key_id)).rejects.toMatchObject({ code: 'not_found' });
    await store.revoke(acme, created.key_id);
    expect(await here.verifier.verify(created.api_key)).toBeNull();
    clock.time += 2_000;
    expect(await elsewhere.verify(created.api_key)).toBeNull();
  });

  test('another pepper knows none of the keys', async () => {
    const { api_key } = await memberOfAcme();
    const other = createApiKeyVerifier({
      store,
      pepper: 'another pepper of thirty-two characters',
      now: () => clock.wall,
      monotonicNow: () => clock.time,
      logger: silentLogger,
    });
    expect(await other.verify(api_key)).toBeNull();
  });
});

describe('the tenant', () => {
  test.each([
    ['acme', true],
    ['globex', false],
    ['', false],
    ['ACME', false],
    ['acme, acme', false],
  ])('X-Tenant-Id %j with a key of acme', async (claimed, agrees) => {
    const { api_key } = await memberOfAcme();
    const asked = identity().authenticate({ ...bearer(api_key), 'x-tenant-id': claimed });
    if (agrees) expect((await asked).kind).toBe('tenant');
    else await expect(asked).rejects.toMatchObject({ code: 'tenant_mismatch' });
  });

  test('when disabled refuses its keys, and takes them again', async () => {
    const { api_key } = await memberOfAcme();
    const { tenants, authenticate } = identity();
    const patch = (enabled: boolean) =>
      tenants.patch({ tenantId: acme, patch: { enabled }, author: 'test', expectedVersion: null });
    await patch(false);
    await expect(authenticate(bearer(api_key))).rejects.toMatchObject({ code: 'tenant_disabled' });
    await patch(true);
    expect((await authenticate(bearer(api_key))).kind).toBe('tenant');
  });

  test('an operator has none', async () => {
    const key = formatApiKey(newApiKey());
    await store.registerOperatorKey(key);
    await store.registerOperatorKey(key);
    const { authenticate } = identity();
    expect(await authenticate(bearer(key))).toMatchObject({ kind: 'operator' });
    await expect(authenticate({ ...bearer(key), 'x-tenant-id': 'acme' })).rejects.toMatchObject({
      code: 'tenant_mismatch',
    });
    const next = formatApiKey(newApiKey());
    await store.registerOperatorKey(next);
    await expect(identity().authenticate(bearer(key))).rejects.toMatchObject({ code: 'invalid_credential' });
  });
});
