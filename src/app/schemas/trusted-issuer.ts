import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';

/** The only algorithms that are ever accepted: asymmetric, so that no public key can serve as a secret. */
export const JWT_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number];

/** An issuer of JWTs that is trusted, and which of its claims mean what. */
export const trustedIssuerSchema = z.strictObject({
  /** Exactly the `iss` of its tokens. */
  issuer: z.url(),
  audience: z.string().min(1),
  jwks_url: z.url({ protocol: /^https?$/ }),
  /** Those that it signs with; all other tokens in its name are refused, whatever keys it publishes. */
  algorithms: z
    .array(z.enum(JWT_ALGORITHMS))
    .min(1)
    .default([...JWT_ALGORITHMS]),
  /** The only tenant that this issuer speaks for; absent: `tenant_claim` names it. */
  tenant_id: tenantIdSchema.optional(),
  tenant_claim: z.string().min(1).default('tenant_id'),
  user_claim: z.string().min(1).default('sub'),
  roles_claim: z.string().min(1).default('roles'),
});
export type TrustedIssuer = z.infer<typeof trustedIssuerSchema>;
