import { call, textAt } from './http-client.ts';
import type { Platform } from './start-bulkhead.ts';

/** Two tenants: acme with two users and an admin, globex with one user and an admin. */
export type Keys = Readonly<{
  operator: string;
  /** acme, users `alice` and `bob`, and the admin `ada`. */
  alice: string;
  /** alice’s too, for the collection `elsewhere` alone. */
  aliceElsewhere: string;
  bob: string;
  acmeAdmin: string;
  /** globex, the user `carol`, and the admin `gus`. */
  carol: string;
  globexAdmin: string;
}>;

const UNLIMITED = {
  requests_per_minute: null,
  requests_per_hour: null,
  tokens_per_minute: null,
  concurrent_requests: null,
};

/** Creates the two tenants and their keys through the admin API. */
export async function createTenants(platform: Platform): Promise<Keys> {
  const operator = platform.operatorKey;
  for (const tenant_id of ['acme', 'globex']) {
    await createTenant(platform, { tenant_id, display_name: tenant_id, rate_limits: UNLIMITED });
  }
  const key = (tenant: string, user_id: string, role = 'member') =>
    createKey(platform, tenant, { user_id, role });
  return {
    operator,
    alice: await key('acme', 'alice', 'service'),
    aliceElsewhere: await createKey(platform, 'acme', {
      user_id: 'alice',
      role: 'service',
      collections: ['elsewhere'],
    }),
    bob: await key('acme', 'bob'),
    acmeAdmin: await key('acme', 'ada', 'admin'),
    carol: await key('globex', 'carol', 'service'),
    globexAdmin: await key('globex', 'gus', 'admin'),
  };
}

export async function createTenant(
  platform: Platform,
  config: Readonly<Record<string, unknown>>,
): Promise<void> {
  const answer = await call(platform.url, 'POST /admin/tenants', { key: platform.operatorKey, json: config });
  if (answer.status !== 201) throw new Error(`The tenant was not created: ${answer.text}`);
}

export async function createKey(
  platform: Platform,
  tenantId: string,
  fields: Readonly<Record<string, unknown>>,
): Promise<string> {
  const endpoint = `POST /admin/tenants/${tenantId}/keys`;
  const answer = await call(platform.url, endpoint, { key: platform.operatorKey, json: fields });
  if (answer.status !== 201) throw new Error(`The key was not created: ${answer.text}`);
  return textAt(answer.json, 'api_key');
}
