import type { TenantContext } from '#app/tenant-context.ts';

/** As whom a transaction runs. */
export type TransactionScope =
  | { role: 'bulkhead_app'; context: TenantContext }
  | { role: 'bulkhead_tenant'; context: TenantContext }
  | { role: 'bulkhead_system' };

/**
 * The first statement of every transaction. All three settings are local to it: they end with it, so a pooled
 * connection carries nobody's identity to the next borrower.
 */
export const ENTER_SCOPE = `SELECT set_config('role', $1, true),
  set_config('bulkhead.tenant_id', $2, true), set_config('bulkhead.user_id', $3, true)`;

export function scopeParameters(scope: TransactionScope): [role: string, tenantId: string, userId: string] {
  if (scope.role === 'bulkhead_system') return [scope.role, '', ''];
  const userId = scope.role === 'bulkhead_app' ? scope.context.userId : '';
  return [scope.role, scope.context.tenantId, userId];
}
