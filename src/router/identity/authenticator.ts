import { type AddressRanges, createAddressRanges } from '#app/addresses.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { RequestId, TenantId, UserId } from '#app/ids.ts';
import type { ApiKey } from '#app/schemas/api-key.ts';
import { createTenantContext, SCOPES_OF_ROLE, type TenantRole } from '#app/tenant-context.ts';
import type { Trace } from '#app/trace.ts';
import type { ApiKeyVerifier } from '#router/identity/api-key-verifier.ts';
import { clientAddress } from '#router/identity/client-address.ts';
import { readHeaderIdentity } from '#router/identity/header-identity.ts';
import type { JwtVerifier } from '#router/identity/jwt/jwt-verifier.ts';
import type { LastUsed } from '#router/identity/last-used.ts';
import type { Principal } from '#router/identity/principal.ts';
import { readCredential } from '#router/identity/read-credential.ts';
import { refusedTo } from '#router/identity/refused-caller.ts';
import type { StrangerLane } from '#router/identity/stranger-lane.ts';
import type { MembershipCache } from '#router/members/membership-cache.ts';
import type { CachedPolicy, PolicyCache } from '#router/tenants/policy-cache.ts';

export interface Authenticator {
  /** The caller; throws a 401 for a credential that is none, and a 403 for a tenant that is not the caller's. */
  authenticate(request: {
    headers: Readonly<Record<string, string | string[] | undefined>>;
    rawHeaders: readonly string[];
    /** Goes with the context that is made. */
    trace?: Trace;
    requestId: RequestId;
    socketAddress: string | undefined;
    /** Also of users who are no members, to whom it is about to become one. Default: no. */
    mayBeStranger?: boolean;
  }): Promise<Principal>;
}

/** What every kind of credential proves; only a key can be an operator's. */
type Caller = Pick<
  ApiKey,
  'tenant_id' | 'user_id' | 'role' | 'scopes' | 'models' | 'ip_ranges' | 'collections'
> & {
  key_id: string | null;
  issuer: string | null;
};

const callerOfRole = (
  tenantId: TenantId,
  userId: UserId,
  role: TenantRole,
  issuer: string | null,
): Caller => ({
  tenant_id: tenantId,
  user_id: userId,
  role,
  scopes: [...SCOPES_OF_ROLE[role]],
  models: null,
  collections: null,
  ip_ranges: null,
  key_id: null,
  issuer,
});

/** The only place outside internal tokens where a TenantContext is made. */
export function createAuthenticator(options: {
  verifier: ApiKeyVerifier;
  /** Absent: JWTs are refused. */
  jwt?: JwtVerifier;
  policies: PolicyCache;
  /** Whose word on where a request comes from is taken. */
  trustedProxies: AddressRanges;
  /** Whether that word is taken on tenant and user as well. */
  trustTenantHeader: boolean;
  memberships: MembershipCache;
  lastUsed: Pick<LastUsed, 'record'>;
  strangers: StrangerLane;
}): Authenticator {
  const { verifier, jwt, policies, trustedProxies, trustTenantHeader, memberships, lastUsed, strangers } =
    options;

  async function callerOf(credential: string, claimedTenant: string | null): Promise<Caller> {
    // A JWT has two dots, an API key none.
    if (!credential.includes('.')) {
      const key = await verifier.verify(credential);
      if (key === null) throw new BulkheadError('invalid_credential', 'The credential is not valid.');
      return { ...key, issuer: null };
    }
    if (jwt === undefined) throw new BulkheadError('invalid_credential', 'The credential is not valid.');
    const { tenantId, userId, role, issuer } = await jwt.verify(credential, claimedTenant ?? undefined);
    return callerOfRole(tenantId, userId, role, issuer);
  }

  return {
    async authenticate({ headers, rawHeaders, requestId, socketAddress, trace, mayBeStranger = false }) {
      const { credential, claimedTenant } = readCredential(headers, rawHeaders);
      const named = trustTenantHeader ? readHeaderIdentity({ headers, socketAddress }, trustedProxies) : null;
      if (credential === null && named === null) {
        throw new BulkheadError('missing_credential', 'Send an API key: Authorization: Bearer bk_….');
      }
      const address = clientAddress(
        { socketAddress, forwardedFor: headers['x-forwarded-for'] },
        trustedProxies,
      );
      const key =
        credential === null && named !== null
          ? callerOfRole(named.tenantId, named.userId, 'member', null)
          : await strangers.check(credential ?? '', address, () => callerOf(credential ?? '', claimedTenant));
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
      refuseOtherUser(key, headers['x-user-id']);
      refuseOtherPlace(key, address);
      if (key.key_id !== null) lastUsed.record(key.key_id);
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
      const role = mayBeStranger ? key.role : await roleOf(key, key.tenant_id, key.user_id, policy, key.role);
      const context = createTenantContext({
        tenantId: key.tenant_id,
        userId: key.user_id,
        role,
        scopes: key.key_id === null ? SCOPES_OF_ROLE[role] : key.scopes,
        keyId: key.key_id,
        collections: key.collections,
        requestId,
        ...(trace && { trace }),
      });
      const limits = { models: key.models, ipRanges: key.ip_ranges };
      return { kind: 'tenant', context, policy, issuer: key.issuer, limits };
    },
  };

  /**
   * The role that counts. Of somebody whom the tenant lists it is the listed one, also where a token says otherwise; a key
   * keeps its own where that is lower. Throws `not_a_member` for somebody removed, and where only members may.
   */
  async function roleOf(
    caller: Caller,
    tenantId: TenantId,
    userId: UserId,
    policy: CachedPolicy,
    role: TenantRole,
  ): Promise<TenantRole> {
    const member = await memberships.membershipOf(tenantId, userId, policy.membersVersion);
    const isKey = caller.key_id !== null;
    if (member === null && (isKey || policy.config.identity.members === 'open')) return role;
    if (member === null || member.status === 'removed') {
      throw refusedTo(
        namesOf(caller),
        new BulkheadError('not_a_member', 'The user is not a member of the tenant.', {
          refusal: { policy: 'identity.members' },
        }),
      );
    }
    if (isKey) return role === 'admin' ? member.role : role;
    // A proxy's word is never an admin's.
    return caller.issuer === null ? role : member.role;
  }

  /** In the mode in which the header means something, it must not say something else than the credential. */
  function refuseOtherUser(caller: Caller, claimed: string | string[] | undefined): void {
    if (!trustTenantHeader || claimed === undefined || claimed === caller.user_id) return;
    const hasNone = caller.key_id === null && caller.issuer === null;
    if (hasNone) return;
    const message = 'X-User-Id is not the credential’s user.';
    throw refusedTo(namesOf(caller), new BulkheadError('user_mismatch', message, { param: 'x-user-id' }));
  }
}

/** By the key's own list, which lives as long as the verdict on the key. */
const parsed = new WeakMap<readonly string[], AddressRanges>();

function parsedRanges(texts: readonly string[]): AddressRanges {
  const known = parsed.get(texts);
  if (known !== undefined) return known;
  const made = createAddressRanges(texts);
  parsed.set(texts, made);
  return made;
}

function refuseOtherPlace(caller: Caller, address: string | null): void {
  if (caller.ip_ranges === null) return;
  if (address !== null && parsedRanges(caller.ip_ranges).has(address)) return;
  throw refusedTo(
    namesOf(caller),
    new BulkheadError('address_not_allowed', 'The API key may not be used from this address.', {
      refusal: { policy: 'key.ip_ranges' },
    }),
  );
}

const namesOf = ({ tenant_id, user_id, key_id }: Caller) => ({
  tenantId: tenant_id,
  actor: tenant_id === null ? `operator:${key_id}` : `${tenant_id}/${user_id}`,
});
