import type { TenantContext } from '#app/tenant-context.ts';

/** As whom a transaction runs. */
export type TransactionScope =
  | { role: 'bulkhead_app'; context: TenantContext }
  | { role: 'bulkhead_tenant'; context: TenantContext }
  | { role: 'bulkhead_system' };

/**
 * The first statement of every transaction. All four settings are local to it: they end with it, so a pooled
 * connection carries nobody's identity to the next borrower.
 */
export const ENTER_SCOPE = `SELECT set_config('role', $1, true),
  set_config('bulkhead.tenant_id', $2, true), set_config('bulkhead.user_id', $3, true),
  set_config('bulkhead.collections', $4, true)`;

export function scopeParameters(
  scope: TransactionScope,
): [role: string, tenantId: string, userId: string, collections: string] {
  if (scope.role === 'bulkhead_system') return [scope.role, '', '', ''];
  const { tenantId, userId, collections } = scope.context;
  return [scope.role, tenantId, scope.role === 'bulkhead_app' ? userId : '', arrayLiteral(collections)];
}

/** As PostgreSQL writes an array of names that hold no quotes and no backslashes; '' for no limit. */
const arrayLiteral = (names: readonly string[] | null): string =>
  names === null ? '' : `{${names.map((name) => `"${name}"`).join(',')}}`;
