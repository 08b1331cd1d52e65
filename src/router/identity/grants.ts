import { createAddressRanges } from '#app/addresses.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { ApiKey, CreateApiKey } from '#app/schemas/api-key.ts';
import type { MemberRole } from '#app/schemas/member.ts';
import { SCOPES_OF_ROLE, type Scope } from '#app/tenant-context.ts';
import { type CredentialLimits, NO_LIMITS, type Principal } from '#router/identity/principal.ts';

/** At most the role's scopes, and at most the creator's own: a key cannot be used to make a stronger one. */
export function scopesToGrant(
  { role, scopes, collections }: CreateApiKey,
  principal: Principal,
): readonly Scope[] {
  // Whoever administers the tenant reaches all of its documents.
  const ofRole = SCOPES_OF_ROLE[role].filter(
    (scope) => collections === undefined || scope !== 'tenant:admin',
  );
  const own = principal.kind === 'operator' ? ofRole : principal.context.scopes;
  if (scopes === undefined) return ofRole.filter((scope) => own.includes(scope));
  for (const [index, scope] of scopes.entries()) {
    const param = `scopes.${index}`;
    if (!ofRole.includes(scope)) {
      const limited = collections === undefined ? '' : ' with collections';
      throw new BulkheadError(
        'invalid_request',
        `${param}: the role ${role}${limited} cannot have ${scope}`,
        {
          param,
        },
      );
    }
    if (!own.includes(scope)) {
      throw new BulkheadError('missing_scope', `${param}: the caller lacks ${scope}`, {
        param,
        refusal: { policy: 'scopes' },
      });
    }
  }
  return [...new Set(scopes)];
}

const limitsOf = (principal: Principal): CredentialLimits =>
  principal.kind === 'operator' ? NO_LIMITS : principal.limits;

/** The caller's own limits where nothing narrower is asked for. Throws for what the caller's own do not hold. */
export function limitsToGrant(
  { models, ip_ranges }: Pick<CreateApiKey, 'models' | 'ip_ranges'>,
  principal: Principal,
): CredentialLimits {
  const own = limitsOf(principal);
  if (own.models !== null) refuseWider('models', models, (model) => own.models?.includes(model) === true);
  if (own.ipRanges !== null) {
    const ranges = createAddressRanges(own.ipRanges);
    refuseWider('ip_ranges', ip_ranges, (range) => ranges.covers(range));
  }
  return { models: models ?? own.models, ipRanges: ip_ranges ?? own.ipRanges };
}

function refuseWider(field: string, asked: readonly string[] | undefined, isOwn: (value: string) => boolean) {
  const index = (asked ?? []).findIndex((value) => !isOwn(value));
  if (index >= 0)
    throw tooStrong(`${field}.${index}`, `${field}.${index}: the caller’s own key does not allow this`);
}

/**
 * Throws where a credential may do something that the caller may not: whoever gets hold of it, by a new secret, would
 * be the stronger for it.
 */
export function refuseStronger(
  {
    role,
    scopes,
    models,
    ip_ranges,
  }: Pick<ApiKey, 'scopes' | 'models' | 'ip_ranges'> & { role: ApiKey['role'] },
  principal: Principal,
): void {
  if (principal.kind === 'operator') return;
  const { context, limits } = principal;
  const effective = role === 'operator' ? [] : scopes.filter((scope) => SCOPES_OF_ROLE[role].includes(scope));
  const missing = effective.find((scope) => !context.scopes.includes(scope));
  if (missing !== undefined)
    throw tooStrong(undefined, `The caller lacks ${missing}, which this would give.`);
  const widerModels = limits.models !== null && !models?.every((model) => limits.models?.includes(model));
  const ranges = limits.ipRanges === null ? null : createAddressRanges(limits.ipRanges);
  const widerRanges = ranges !== null && !ip_ranges?.every((range) => ranges.covers(range));
  if (widerModels || widerRanges) {
    throw tooStrong(undefined, 'The caller’s own key is limited, and this would give more than it allows.');
  }
}

/** A member's own token does all that the role may, without limits. */
export const refuseStrongerMember = (role: MemberRole, principal: Principal): void =>
  refuseStronger({ role, scopes: [...SCOPES_OF_ROLE[role]], models: null, ip_ranges: null }, principal);

const tooStrong = (param: string | undefined, message: string) =>
  new BulkheadError('missing_scope', message, {
    refusal: { policy: 'scopes' },
    ...(param === undefined ? {} : { param }),
  });
