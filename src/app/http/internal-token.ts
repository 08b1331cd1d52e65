import { type CryptoKey, errors, importPKCS8, importSPKI, type JWTPayload, jwtVerify, SignJWT } from 'jose';
import { z } from 'zod';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { requestIdSchema, tenantIdSchema, userIdSchema } from '#app/ids.ts';
import { collectionSchema } from '#app/schemas/collection.ts';
import { SettingsError } from '#app/settings/load-settings.ts';
import { createTenantContext, SCOPES, TENANT_ROLES, type TenantContext } from '#app/tenant-context.ts';
import { NO_TRACE, type Trace } from '#app/trace.ts';

export const INTERNAL_AUDIENCES = ['orchestrator', 'rag-service'] as const;
export type InternalAudience = (typeof INTERNAL_AUDIENCES)[number];

/** Seconds that an internal token lives after it was minted: one hop. */
export const INTERNAL_TOKEN_SECONDS = 60;
/** Seconds by which the clocks of two services may differ, either way. It lengthens a token's life by as much. */
export const INTERNAL_CLOCK_TOLERANCE_SECONDS = 60;

const ISSUER = 'bulkhead-router';
const TYPE = 'bulkhead-internal+jwt';
/** A token of this type speaks for no tenant: it proves that key and clocks fit, and opens no route. */
const PROBE_TYPE = 'bulkhead-probe+jwt';

const claimsSchema = z.object({
  tenant_id: tenantIdSchema,
  user_id: userIdSchema,
  role: z.enum(TENANT_ROLES),
  scopes: z.array(z.enum(SCOPES)),
  key_id: z.string().nullable(),
  // Not optional: a token that does not say so is not one without limits.
  collections: z.array(collectionSchema).nullable(),
  request_id: requestIdSchema,
});

/** Where a service client gets the token that speaks for a context: minted (router) or forwarded (orchestrator). */
export interface InternalTokenSource {
  tokenFor(context: TenantContext, audience: InternalAudience): Promise<string>;
  /** A token for readiness checks. Absent where nothing can be minted. */
  probeTokenFor?(audience: InternalAudience): Promise<string>;
}

/** The router's minter. Only it holds the Ed25519 private key (PKCS #8 PEM); throws SettingsError for any other. */
export async function createInternalTokenMinter(privateKeyPem: string): Promise<InternalTokenSource> {
  const key = await importPKCS8(privateKeyPem, 'EdDSA').catch((error: unknown) => {
    throw new SettingsError('INTERNAL_TOKEN_PRIVATE_KEY: must be an Ed25519 private key in PKCS #8 PEM', {
      cause: error,
    });
  });
  const sign = (claims: JWTPayload, typ: string, audience: InternalAudience) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: 'EdDSA', typ })
      .setIssuer(ISSUER)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime(`${INTERNAL_TOKEN_SECONDS}s`)
      .sign(key);
  return {
    tokenFor: (context, audience) => {
      const claims = {
        tenant_id: context.tenantId,
        user_id: context.userId,
        role: context.role,
        scopes: [...context.scopes],
        key_id: context.keyId,
        collections: context.collections === null ? null : [...context.collections],
        request_id: context.requestId,
      };
      return sign(claims, TYPE, audience);
    },
    probeTokenFor: (audience) => sign({}, PROBE_TYPE, audience),
  };
}

export interface InternalTokenVerifier {
  /** The context that the token proves; throws `invalid_credential` for anything but a live token of the router. */
  verify(token: string, trace?: Trace): Promise<TenantContext>;
  /** The same check for a readiness check's token, which carries no context. */
  verifyProbe(token: string): Promise<void>;
}

/** A service's verifier: it holds the public key (SPKI PEM) and its own audience, and cannot mint. */
export async function createInternalTokenVerifier(
  publicKeyPem: string,
  audience: InternalAudience,
): Promise<InternalTokenVerifier> {
  const key: CryptoKey = await importSPKI(publicKeyPem, 'EdDSA').catch((error: unknown) => {
    throw new SettingsError('INTERNAL_TOKEN_PUBLIC_KEY: must be an Ed25519 public key in SPKI PEM', {
      cause: error,
    });
  });
  async function payloadOf(token: string, typ: string): Promise<JWTPayload> {
    const { payload } = await jwtVerify(token, key, {
      algorithms: ['EdDSA'],
      issuer: ISSUER,
      audience,
      typ,
      requiredClaims: ['exp', 'iat'],
      maxTokenAge: INTERNAL_TOKEN_SECONDS,
      clockTolerance: INTERNAL_CLOCK_TOLERANCE_SECONDS,
    });
    const { iat = 0, exp = Number.POSITIVE_INFINITY } = payload;
    if (exp - iat <= INTERNAL_TOKEN_SECONDS) return payload;
    throw new errors.JWTInvalid('The token was made to live too long.');
  }
  return {
    verify: (token, trace = NO_TRACE) =>
      refusingInvalid(async () => {
        const claims = claimsSchema.parse(await payloadOf(token, TYPE));
        return createTenantContext({
          tenantId: claims.tenant_id,
          userId: claims.user_id,
          role: claims.role,
          scopes: claims.scopes,
          keyId: claims.key_id,
          collections: claims.collections,
          requestId: claims.request_id,
          trace,
        });
      }),
    verifyProbe: (token) => refusingInvalid(async () => void (await payloadOf(token, PROBE_TYPE))),
  };
}

async function refusingInvalid<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof z.ZodError) {
      throw new BulkheadError('invalid_credential', 'The internal token is not valid.', { cause: error });
    }
    throw error;
  }
}

/** The header in which the router hands the orchestrator the token that it may forward to the RAG service. */
export const FORWARDED_RAG_TOKEN_HEADER = 'x-bulkhead-rag-token';

/** The orchestrator's source: tokens that arrived with a context, and nothing else. */
export function createForwardedTokens(): InternalTokenSource & {
  /** Until it is forgotten, which is when its request is over. */
  remember(context: TenantContext, audience: InternalAudience, token: string): void;
  forget(context: TenantContext): void;
} {
  // Not a WeakMap: the collector of young objects takes what an old one holds to be alive (request-slot.ts).
  const tokens = new Map<TenantContext, Map<InternalAudience, string>>();
  return {
    remember(context, audience, token) {
      const known = tokens.get(context) ?? new Map<InternalAudience, string>();
      tokens.set(context, known.set(audience, token));
    },
    forget: (context) => void tokens.delete(context),
    async tokenFor(context, audience) {
      const token = tokens.get(context)?.get(audience);
      if (token === undefined) {
        throw new BulkheadError(
          'service_unavailable',
          `The call to the ${audience} failed: the router sent no token for it.`,
        );
      }
      return token;
    },
  };
}
