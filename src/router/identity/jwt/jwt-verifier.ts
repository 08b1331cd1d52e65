import { errors, jwtVerify } from 'jose';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type TenantId, tenantIdSchema, type UserId, userIdSchema } from '#app/ids.ts';
import type { SkippedEntries } from '#app/parse-entries.ts';
import type { TrustedIssuer } from '#app/schemas/trusted-issuer.ts';
import { TENANT_ROLES, type TenantRole } from '#app/tenant-context.ts';
import { parseJsonObject, readCompactToken } from '#router/identity/jwt/compact-token.ts';
import type { VerificationKey } from '#router/identity/jwt/key-set.ts';
import { createRemoteKeySet, type KeySetFetch } from '#router/identity/jwt/remote-key-set.ts';

/** Who a token speaks for. Scopes are those of the role. */
export type JwtIdentity = Readonly<{
  tenantId: TenantId;
  userId: UserId;
  role: TenantRole;
  expiresAt: Date;
  issuer: string;
}>;

/** An issuer, and whether it is a tenant’s word that it is one. */
export type KnownIssuer = TrustedIssuer & Readonly<{ isOfTenant?: boolean }>;

export type JwtVerifierOptions = {
  /**
   * The issuer by its exact `iss`, or undefined where it is not trusted. `tenantId` is a tenant that the request
   * or the token names, not yet proven: it may only help to find an issuer that is bound to that tenant.
   */
  issuerOf(issuer: string, tenantId: string | undefined): Promise<KnownIssuer | undefined>;
  fetch: KeySetFetch;
  /** For the keys of issuers that a tenant has named. Default: `fetch`. */
  fetchForTenants?: KeySetFetch;
  /** Milliseconds; monotonic. For the age of keys. */
  now(): number;
  /** For `exp` and `nbf`. */
  date(): Date;
  onRefreshError?: (error: unknown, issuer: string) => void;
  onSkippedKeys?: (skipped: SkippedEntries, issuer: string) => void;
  sleep?: (milliseconds: number) => Promise<unknown>;
};

export interface JwtVerifier {
  /** Who the token speaks for. `claimedTenant` is what `X-Tenant-Id` says, where it was sent. */
  verify(token: string, claimedTenant?: string): Promise<JwtIdentity>;
}

/** Issuers of tenants whose keys are kept; more are fetched anew. */
const MAX_KEY_SETS = 1_000;
/** Seconds that clocks may differ. */
const CLOCK_TOLERANCE_SECONDS = 30;
const ACCEPTED_TYPES = new Set(['jwt', 'at+jwt', 'application/at+jwt', 'application/jwt']);
const ROLE_WORDS = new Map<unknown, TenantRole>(TENANT_ROLES.map((role) => [role, role]));

/** One answer for every flaw: what exactly was wrong helps an attacker more than a client. */
const refused = (cause?: unknown) =>
  new BulkheadError('invalid_credential', 'The token is not valid.', cause === undefined ? {} : { cause });

/** Verifies JWTs as RFC 8725 asks. Anything but a live, well-formed token of a trusted issuer is refused. */
export function createJwtVerifier(options: JwtVerifierOptions): JwtVerifier {
  /** As many as the settings name. */
  const ofDeployment = new Map<string, ReturnType<typeof createRemoteKeySet>>();
  /** The most recently used one is the last: whatever tenants name, the keys of the others stay. */
  const ofTenants = new Map<string, ReturnType<typeof createRemoteKeySet>>();

  function keySetOf(issuer: KnownIssuer) {
    const isOfTenant = issuer.isOfTenant === true;
    const keySets = isOfTenant ? ofTenants : ofDeployment;
    const known = keySets.get(issuer.jwks_url);
    if (known !== undefined) {
      if (isOfTenant && keySets.delete(issuer.jwks_url)) keySets.set(issuer.jwks_url, known);
      return known;
    }
    const made = createRemoteKeySet({
      url: issuer.jwks_url,
      fetch: isOfTenant ? (options.fetchForTenants ?? options.fetch) : options.fetch,
      now: options.now,
      onRefreshError: (error) => options.onRefreshError?.(error, issuer.issuer),
      onSkipped: (skipped) => options.onSkippedKeys?.(skipped, issuer.issuer),
      ...(options.sleep === undefined ? {} : { sleep: options.sleep }),
    });
    keySets.set(issuer.jwks_url, made);
    const oldest = ofTenants.keys().next();
    if (ofTenants.size > MAX_KEY_SETS && !oldest.done) ofTenants.delete(oldest.value);
    return made;
  }

  return {
    async verify(token: string, claimedTenant?: string): Promise<JwtIdentity> {
      const compact = readCompactToken(token);
      const payload = compact === null ? null : parseJsonObject(compact.payload);
      if (compact === null || payload === null || typeof payload.iss !== 'string') throw refused();
      const { header } = compact;
      if (header.typ !== undefined && !ACCEPTED_TYPES.has(header.typ.toLowerCase())) throw refused();
      const named = typeof payload.tenant_id === 'string' ? payload.tenant_id : claimedTenant;
      const issuer = await options.issuerOf(payload.iss, named);
      if (issuer === undefined || !issuer.algorithms.includes(header.alg)) throw refused();
      const keySet = keySetOf(issuer);
      const key = await keySet.keyFor(header);
      if (key === null) throw refused();
      try {
        await check(token, key, issuer);
      } catch (error) {
        // Without a kid, a key that was replaced is seen by nothing but the signature.
        const isReplaced = header.kid === undefined && error instanceof errors.JWSSignatureVerificationFailed;
        const newer = isReplaced ? await keySet.newerKeyFor(header) : null;
        if (newer === null) throw refused(error);
        await check(token, newer, issuer).catch((failure: unknown) => {
          throw refused(failure);
        });
      }
      return identityOf(payload, issuer);
    },
  };

  async function check(token: string, { key }: VerificationKey, issuer: TrustedIssuer): Promise<void> {
    await jwtVerify(token, key, {
      algorithms: issuer.algorithms,
      issuer: issuer.issuer,
      audience: issuer.audience,
      requiredClaims: ['exp', issuer.user_claim],
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
      currentDate: options.date(),
    });
  }
}

function identityOf(payload: Readonly<Record<string, unknown>>, issuer: TrustedIssuer): JwtIdentity {
  const claimed = payload[issuer.tenant_claim];
  // An issuer of one tenant may leave the claim out, but may not speak for another tenant.
  if (issuer.tenant_id !== undefined && claimed !== undefined && claimed !== issuer.tenant_id)
    throw refused();
  const tenantId = tenantIdSchema.safeParse(issuer.tenant_id ?? claimed);
  const userId = userIdSchema.safeParse(payload[issuer.user_claim]);
  if (!tenantId.success || !userId.success || typeof payload.exp !== 'number') throw refused();
  return {
    tenantId: tenantId.data,
    userId: userId.data,
    role: roleOf(payload[issuer.roles_claim]),
    expiresAt: new Date(payload.exp * 1000),
    issuer: issuer.issuer,
  };
}

/** The highest role that the claim names; `member` where it names none that is known. */
function roleOf(claim: unknown): TenantRole {
  const words = typeof claim === 'string' ? claim.split(' ') : Array.isArray(claim) ? claim : [];
  const roles = words.map((word) => ROLE_WORDS.get(word));
  return roles.includes('admin') ? 'admin' : roles.includes('service') ? 'service' : 'member';
}
