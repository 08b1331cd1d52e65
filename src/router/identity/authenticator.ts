import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { RequestId } from '#app/ids.ts';
import type { ApiKey } from '#app/schemas/api-key.ts';
import { createTenantContext, SCOPES_OF_ROLE } from '#app/tenant-context.ts';
import type { ApiKeyVerifier } from '#router/identity/api-key-verifier.ts';
import type { JwtVerifier } from '#router/identity/jwt/jwt-verifier.ts';
import type { Principal } from '#router/identity/principal.ts';
import { readCredential } from '#router/identity/read-credential.ts';
import { refusedTo } from '#router/identity/refused-caller.ts';
import type { PolicyCache } from '#router/tenants/policy-cache.ts';

export interface Authenticator {
  /** The caller; throws a 401 for a credential that is none, and a 403 for a tenant that is not the caller's. */
  authenticate(request: {
    headers: Readonly<Record<string, string | string[] | undefined>>;
    rawHeaders: readonly string[];
    requestId: RequestId;
  }): Promise<Principal>;
}

/** What both kinds of credential prove; only a key can be an operator's. */
type Caller = Pick<ApiKey, 'tenant_id' | 'user_id' | 'role' | 'scopes'> & {
  key_id: string | null;
  issuer: string | null;
};

/** The only place outside internal tokens where a TenantContext is made. */
export function createAuthenticator(options: {
  verifier: ApiKeyVerifier;
  /** Absent: JWTs are refused. */
  jwt?: JwtVerifier;
  policies: PolicyCache;
}): Authenticator {
  const { verifier, jwt, policies } = options;

  async function callerOf(credential: string, claimedTenant: string | null): Promise<Caller> {
    // A JWT has two dots, an API key none.
    if (!credential.includes('.')) {
      const key = await verifier.verify(credential);
      if (key === null) throw new BulkheadError('invalid_credential', 'The credential is not valid.');
      return { ...key, issuer: null };
    }
    if (jwt === undefined) throw new BulkheadError('invalid_credential', 'The credential is not valid.');
    const { tenantId, userId, role, issuer } = await jwt.verify(credential, claimedTenant ?? undefined);
    const scopes = [...SCOPES_OF_ROLE[role]];
    return { tenant_id: tenantId, user_id: userId, role, scopes, key_id: null, issuer };
  }

  return {
    async authenticate({ headers, rawHeaders, requestId }) {
      const { credential, claimedTenant } = readCredential(headers, rawHeaders);
      const key = await callerOf(credential, claimedTenant);
      if (claimedTenant !== null && claimedTenant !== key.tenant_id) {
        const message = 'X-Tenant-Id is not the credential’s tenant.';
        throw refusedTo(
          namesOf(key),
          new BulkheadError('tenant_mismatch', message, {
            param: 'x-tenant-id',
            refusal: { policy: 'credential.tenant' },
          }),
        );
      }
      if (key.role === 'operator' || key.tenant_id === null || key.user_id === null) {
        return { kind: 'operator', keyId: key.key_id ?? '' };
      }
      const policy = await policies.policyOf(key.tenant_id);
      if (policy === null) throw new BulkheadError('invalid_credential', 'The credential is not valid.');
      if (!policy.config.enabled) {
        throw refusedTo(
          namesOf(key),
          new BulkheadError('tenant_disabled', 'The tenant is disabled.', { refusal: { policy: 'enabled' } }),
        );
      }
      const context = createTenantContext({
        tenantId: key.tenant_id,
        userId: key.user_id,
        role: key.role,
        scopes: key.scopes,
        keyId: key.key_id,
        requestId,
      });
      return { kind: 'tenant', context, policy, issuer: key.issuer };
    },
  };
}

const namesOf = ({ tenant_id, user_id, key_id }: Caller) => ({
  tenantId: tenant_id,
  actor: tenant_id === null ? `operator:${key_id}` : `${tenant_id}/${user_id}`,
});
