import { z } from 'zod';
import { tenantIdSchema } from '#app/ids.ts';

/** An issuer of JWTs that is trusted, and which of its claims mean what. */
export const trustedIssuerSchema = z.strictObject({
  /** Exactly the `iss` of its tokens. */
  issuer: z.url(),
  audience: z.string().min(1),
  jwks_url: z.url({ protocol: /^https?$/ }),
  /** The only tenant that this issuer speaks for; absent: `tenant_claim` names it. */
  tenant_id: tenantIdSchema.optional(),
  tenant_claim: z.string().min(1).default('tenant_id'),
  user_claim: z.string().min(1).default('sub'),
  roles_claim: z.string().min(1).default('roles'),
});
export type TrustedIssuer = z.infer<typeof trustedIssuerSchema>;
