import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import { flawOfPublicUrl } from '#router/identity/jwt/guarded-fetch.ts';

/** Throws `invalid_request` naming the first key set that would not be fetched. */
export function checkIssuers({ identity }: TenantConfig): void {
  for (const [index, { jwks_url }] of identity.issuers.entries()) {
    const flaw = flawOfPublicUrl(jwks_url);
    if (flaw === null) continue;
    const param = `identity.issuers.${index}.jwks_url`;
    throw new BulkheadError('invalid_request', `${param}: ${flaw}`, { param });
  }
}
