import type { RequestId, TenantId, UserId } from '#app/ids.ts';
import { NO_TRACE, type Trace } from '#app/trace.ts';

/** What a caller may be. An operator belongs to no tenant and never holds a TenantContext. */
export const TENANT_ROLES = ['admin', 'member', 'service'] as const;
export type TenantRole = (typeof TENANT_ROLES)[number];

/** What a credential may do. A credential never grants more than its role: see {@link SCOPES_OF_ROLE}. */
export const SCOPES = [
  'chat',
  'vault:read',
  'vault:write',
  'vault:share',
  'conversations',
  'usage:read',
  'tenant:admin',
] as const;
export type Scope = (typeof SCOPES)[number];

const MEMBER_SCOPES: readonly Scope[] = ['chat', 'vault:read', 'vault:write', 'conversations', 'usage:read'];

/** The most that each role can be granted; a key's own scopes are intersected with these at every request. */
export const SCOPES_OF_ROLE: Readonly<Record<TenantRole, readonly Scope[]>> = {
  admin: SCOPES,
  member: MEMBER_SCOPES,
  service: [...MEMBER_SCOPES, 'vault:share'],
};

declare const tenantContextBrand: unique symbol;

/**
 * Proof that a request was authenticated for one user of one tenant. Every store, cache, limiter and queue
 * takes one, so code that holds none cannot name a tenant. It is made in two places only: the router's
 * identity, and the verifier of internal tokens.
 */
export type TenantContext = Readonly<{
  tenantId: TenantId;
  userId: UserId;
  role: TenantRole;
  scopes: readonly Scope[];
  /** The API key that was used, or null for a JWT or a background job. */
  keyId: string | null;
  /** Collections of documents that the credential is limited to; null: none, it sees all that its user sees. */
  collections: readonly string[] | null;
  requestId: RequestId;
  /** Where work for this request records its spans; never part of a token or a row. */
  trace: Trace;
}> & { readonly [tenantContextBrand]: true };

/** Without `collections` there is no limit; without `trace` nothing is recorded. */
export type TenantContextFields = Omit<TenantContext, typeof tenantContextBrand | 'collections' | 'trace'> &
  Partial<Pick<TenantContext, 'collections' | 'trace'>>;

/** Callers outside identity, internal tokens and background jobs are rejected by the architecture test. */
export function createTenantContext(fields: TenantContextFields): TenantContext {
  const { tenantId, userId, role, keyId, requestId, trace = NO_TRACE } = fields;
  const collections = fields.collections == null ? null : Object.freeze([...fields.collections]);
  const scopes = fields.scopes.filter(
    (scope) =>
      SCOPES_OF_ROLE[role].includes(scope) &&
      // Whoever administers a tenant reaches all of it: exports, erasure, new keys.
      (scope !== 'tenant:admin' || collections === null),
  );
  return Object.freeze({
    tenantId,
    userId,
    role,
    scopes: Object.freeze(scopes),
    keyId,
    collections,
    requestId,
    trace,
  }) as TenantContext;
}
