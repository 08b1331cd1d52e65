import { tenantIdSchema } from '#app/ids.ts';
import { type TrustedIssuer, trustedIssuerSchema } from '#app/schemas/trusted-issuer.ts';
import type { JwtVerifierOptions } from '#router/identity/jwt/jwt-verifier.ts';
import type { PolicyCache } from '#router/tenants/policy-cache.ts';

/**
 * Issuers of the deployment, which name the tenant in a claim, and issuers of a tenant's own config, which can
 * speak for that tenant alone. An issuer of the deployment is never overridden by a tenant's.
 */
export function createTrustedIssuers(options: {
  deployment: readonly TrustedIssuer[];
  policies: PolicyCache;
}): JwtVerifierOptions['issuerOf'] {
  const byIssuer = new Map(options.deployment.map((issuer) => [issuer.issuer, issuer]));
  return async (issuer, claimedTenant) => {
    const ofDeployment = byIssuer.get(issuer);
    if (ofDeployment !== undefined) return ofDeployment;
    const tenantId = tenantIdSchema.safeParse(claimedTenant);
    if (!tenantId.success) return undefined;
    const policy = await options.policies.policyOf(tenantId.data);
    const found = policy?.config.identity.issuers.find((candidate) => candidate.issuer === issuer);
    return found === undefined
      ? undefined
      : {
          ...trustedIssuerSchema.parse({
            issuer: found.issuer,
            audience: found.audience,
            jwks_url: found.jwks_url,
            tenant_id: tenantId.data,
          }),
          isOfTenant: true,
        };
  };
}
