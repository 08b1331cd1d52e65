import { createHmac } from 'node:crypto';
import type { TenantId } from '#app/ids.ts';

/** Salts that are kept, since every turn needs its tenant's. */
const MAX_KNOWN = 10_000;
const known = new Map<string, Map<TenantId, string>>();

/**
 * vLLM keys its prefix cache with this, so that no tenant can time whether another one's prompt is cached. Keyed
 * with a secret, because tenant ids can be guessed.
 */
export function cacheSaltOf(secret: string, tenantId: TenantId): string {
  let salts = known.get(secret);
  if (salts === undefined) {
    // A process has one secret; more are tests.
    known.clear();
    salts = new Map();
    known.set(secret, salts);
  }
  let salt = salts.get(tenantId);
  if (salt === undefined) {
    salt = createHmac('sha256', secret).update(tenantId).digest('base64url');
    if (salts.size >= MAX_KNOWN) salts.clear();
    salts.set(tenantId, salt);
  }
  return salt;
}
