import type { TenantContext } from '#app/tenant-context.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';

/** What a credential is limited to beside its scopes; null: by nothing. */
export type CredentialLimits = Readonly<{
  models: readonly string[] | null;
  ipRanges: readonly string[] | null;
}>;

export const NO_LIMITS: CredentialLimits = { models: null, ipRanges: null };

/** Who is calling: an operator, who belongs to no tenant, or one user of one tenant and the tenant's policy. */
export type Principal =
  | Readonly<{ kind: 'operator'; keyId: string }>
  | Readonly<{
      kind: 'tenant';
      context: TenantContext;
      policy: CompiledPolicy;
      issuer: string | null;
      limits: CredentialLimits;
    }>;

export type TenantPrincipal = Extract<Principal, { kind: 'tenant' }>;

/** How the principal is named as the author of a change. */
export const authorOf = (principal: Principal): string =>
  principal.kind === 'operator'
    ? `operator:${principal.keyId}`
    : `${principal.context.tenantId}/${principal.context.userId}`;
