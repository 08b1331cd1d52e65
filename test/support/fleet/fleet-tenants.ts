import { call, eventually, textAt } from '../http-client.ts';
import { createKey, createTenant } from '../tenants.ts';
import type { Fleet } from './start-fleet.ts';

export const FLEET_TENANTS = ['acme', 'globex', 'initech'] as const;

/** Three tenants, each with a limit that is counted and not reached, and a document. Resolves with their keys. */
export async function createFleetTenants(fleet: Fleet): Promise<Map<string, string>> {
  const keys = new Map<string, string>();
  for (const tenant_id of FLEET_TENANTS) {
    await createTenant(fleet, {
      tenant_id,
      display_name: tenant_id,
      rate_limits: { requests_per_minute: 100_000, requests_per_hour: null, concurrent_requests: 1_000 },
    });
    keys.set(tenant_id, await createKey(fleet, tenant_id, { user_id: 'alice', role: 'service' }));
  }
  await Promise.all([...keys].map(([tenant, key]) => addDocument(fleet.url, tenant, key)));
  return keys;
}

async function addDocument(url: string, tenant: string, key: string): Promise<void> {
  const form = new FormData();
  form.append('file', new Blob([`The office of ${tenant} opens at nine.`]), 'note.txt');
  const added = await call(url, 'POST /v1/vault/documents', { key, body: form });
  if (added.status >= 300) throw new Error(`The document was not taken: ${added.status} ${added.text}`);
  const id = textAt(added.json, 'document_id');
  await eventually('the document is indexed', async () => {
    const { json } = await call(url, `GET /v1/vault/documents/${id}`, { key });
    if (textAt(json, 'status') === 'failed') throw new Error(JSON.stringify(json));
    return textAt(json, 'status') === 'ready' ? true : undefined;
  });
}
