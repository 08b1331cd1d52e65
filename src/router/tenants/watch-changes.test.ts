import { afterAll, beforeAll, expect, test } from 'vitest';
import { tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { silentLogger } from '#observability/logger.ts';
import { createApiKeyStore } from '#router/identity/api-key-store.ts';
import { createApiKeyVerifier } from '#router/identity/api-key-verifier.ts';
import { createMemberStore } from '#router/members/member-store.ts';
import { createPolicyCache } from '#router/tenants/policy-cache.ts';
import { createTenantStore } from '#router/tenants/tenant-store.ts';
import { watchChanges } from '#router/tenants/watch-changes.ts';
import { createTestDatabase } from '../../../test/support/create-test-database.ts';

const pepper = 'a pepper of at least thirty-two characters';
const acme = tenantIdSchema.parse('acme');
const alice = userIdSchema.parse('alice');
let open: Awaited<ReturnType<typeof createTestDatabase>>;

beforeAll(async () => {
  open = await createTestDatabase();
});
afterAll(() => open.close());

test('what another process changes is read again, without waiting for the poll', async () => {
  const { database } = open;
  const elsewhere = createTenantStore({ database });
  const keysElsewhere = createApiKeyStore({ database, pepper });
  await elsewhere.create(tenantConfigSchema.parse({ tenant_id: 'acme', display_name: 'acme' }), 'test');
  const created = await keysElsewhere.create({
    tenantId: acme,
    userId: alice,
    role: 'member',
    scopes: ['chat'],
    name: 'x',
    expiresAt: null,
  });

  // A clock that stands still: nothing gets old, so nothing is polled.
  const still = () => 0;
  const policies = createPolicyCache({
    store: createTenantStore({ database }),
    monotonicNow: still,
    logger: silentLogger,
  });
  const store = createApiKeyStore({ database, pepper });
  const verifier = createApiKeyVerifier({
    store,
    pepper,
    now: Date.now,
    monotonicNow: still,
    logger: silentLogger,
  });
  const watching = await watchChanges({ database, policies, verifier, logger: silentLogger });

  expect((await policies.policyOf(acme))?.version).toBe(1);
  await elsewhere.patch({ tenantId: acme, patch: { weight: 2 }, author: 'test', expectedVersion: null });
  await expect.poll(async () => (await policies.policyOf(acme))?.version).toBe(2);

  expect(await verifier.verify(created.api_key)).not.toBeNull();
  await keysElsewhere.recordUses([{ keyId: created.key_id, at: new Date() }]);
  const rotated = await keysElsewhere.rotate({ tenantId: acme, keyId: created.key_id, previousUntil: null });
  await expect.poll(() => verifier.verify(created.api_key)).toBeNull();
  expect(await verifier.verify(rotated.api_key)).not.toBeNull();

  await createMemberStore({ database }).remove({ tenantId: acme, userId: alice, author: 'test' });
  await expect.poll(() => verifier.verify(rotated.api_key)).toBeNull();
  await expect.poll(async () => (await policies.policyOf(acme))?.membersVersion).toBe(1);

  await watching.close();
  await elsewhere.patch({ tenantId: acme, patch: { weight: 3 }, author: 'test', expectedVersion: null });
  expect((await policies.policyOf(acme))?.version).toBe(2);
});
