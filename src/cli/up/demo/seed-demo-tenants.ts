import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type TenantId, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { tenantConfigSchema } from '#app/schemas/tenant-config.ts';
import { SCOPES_OF_ROLE } from '#app/tenant-context.ts';
import type { DemoTenant } from '#cli/demo-file.ts';
import type { DemoState } from '#cli/up/demo/demo-state.ts';
import { DEMO_TENANTS, type DemoTenantPlan } from '#cli/up/demo/demo-tenants.ts';
import type { ApiKeyStore } from '#router/identity/api-key-store.ts';
import type { TenantStore } from '#router/tenants/tenant-store.ts';

const AUTHOR = 'demo';
const KEY_NAMES = { member: 'demo member', admin: 'demo admin' } as const;

type SeedOptions = {
  tenants: TenantStore;
  keys: ApiKeyStore;
  state: DemoState;
  log: (message: string) => void;
};

/**
 * Makes the demo tenants and their keys, as far as they are not there yet. A tenant of the same id that was
 * made by somebody else gets no keys and no documents.
 */
export async function seedDemoTenants(options: SeedOptions): Promise<DemoTenant[]> {
  const made: DemoTenant[] = [];
  for (const plan of DEMO_TENANTS) {
    const tenant = await seedTenant(plan, options);
    if (tenant !== null) made.push(tenant);
  }
  return made;
}

async function seedTenant(
  plan: DemoTenantPlan,
  { tenants, keys, state, log }: SeedOptions,
): Promise<DemoTenant | null> {
  const tenantId = tenantIdSchema.parse(plan.tenantId);
  const exists = (await tenants.readConfig(tenantId)) !== null;
  // A database that was emptied since starts over.
  const known = exists ? state.of(tenantId) : undefined;
  if (known?.status === 'created') return known.tenant;
  if (known?.status === 'foreign') return null;
  if (exists && known === undefined) {
    await state.set(tenantId, { status: 'foreign' });
    log(`Demo: a tenant ${tenantId} was there already; it is left as it is.`);
    return null;
  }
  await state.set(tenantId, { status: 'creating' });
  await createUnlessThere(tenants, plan);
  if ((await tenants.readConfig(tenantId)) === null) {
    await state.set(tenantId, { status: 'foreign' });
    log(`Demo: the tenant ${tenantId} was erased; it is not made again.`);
    return null;
  }
  await revokeForgottenKeys(keys, tenantId);
  const tenant: DemoTenant = {
    tenant_id: tenantId,
    api_key: await createKey(keys, tenantId, plan.userId, 'member'),
    admin_key: await createKey(keys, tenantId, plan.adminId, 'admin'),
    user_id: userIdSchema.parse(plan.userId),
  };
  await state.set(tenantId, { status: 'created', tenant, documents: {} });
  return tenant;
}

/** High enough that nobody who tries things out meets them by accident. */
const DEMO_LIMITS = { requests_per_minute: 6_000, requests_per_hour: 200_000 };

async function createUnlessThere(tenants: TenantStore, plan: DemoTenantPlan): Promise<void> {
  try {
    const config = {
      tenant_id: plan.tenantId,
      display_name: plan.displayName,
      rate_limits: DEMO_LIMITS,
    };
    await tenants.create(tenantConfigSchema.parse(config), AUTHOR);
  } catch (error) {
    if (!(error instanceof BulkheadError && error.code === 'conflict')) throw error;
  }
}

/** Keys of a start that ended before it could write them down: nobody has their secrets. */
async function revokeForgottenKeys(keys: ApiKeyStore, tenantId: TenantId): Promise<void> {
  const names: readonly string[] = Object.values(KEY_NAMES);
  for (const key of (await keys.list(tenantId, { limit: 100 })).data) {
    if (key.revoked_at === null && names.includes(key.name)) await keys.revoke(tenantId, key.key_id);
  }
}

async function createKey(
  keys: ApiKeyStore,
  tenantId: TenantId,
  userId: string,
  role: 'member' | 'admin',
): Promise<string> {
  const created = await keys.create({
    tenantId,
    userId: userIdSchema.parse(userId),
    role,
    scopes: SCOPES_OF_ROLE[role],
    name: KEY_NAMES[role],
    expiresAt: null,
  });
  return created.api_key;
}
