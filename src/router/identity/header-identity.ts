import type { AddressRanges } from '#app/addresses.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { type TenantId, tenantIdSchema, type UserId, userIdSchema } from '#app/ids.ts';

/** In TRUST_TENANT_HEADER mode: whom a listed proxy says it speaks for. */
export type HeaderIdentity = Readonly<{ tenantId: TenantId; userId: UserId }>;

/** The user of requests for which the proxy names none. */
const NOBODY_NAMED = userIdSchema.parse('anonymous');

/**
 * Whom `X-Tenant-Id` and `X-User-Id` name, where the connection itself comes from a listed proxy; null where it does
 * not, or where the proxy names no tenant. `X-Forwarded-For` counts for nothing here: anybody can write it.
 */
export function readHeaderIdentity(
  request: {
    headers: Readonly<Record<string, string | string[] | undefined>>;
    socketAddress: string | undefined;
  },
  trustedProxies: AddressRanges,
): HeaderIdentity | null {
  const { headers, socketAddress } = request;
  if (socketAddress === undefined || !trustedProxies.has(socketAddress)) return null;
  const { 'x-tenant-id': tenant, 'x-user-id': user } = headers;
  if (tenant === undefined) return null;
  // Sent twice, Node joins them with a comma, which no id holds.
  const tenantId = tenantIdSchema.safeParse(tenant);
  if (!tenantId.success) throw invalid('X-Tenant-Id');
  if (user === undefined) return { tenantId: tenantId.data, userId: NOBODY_NAMED };
  const userId = userIdSchema.safeParse(user);
  if (!userId.success) throw invalid('X-User-Id');
  return { tenantId: tenantId.data, userId: userId.data };
}

const invalid = (header: string) =>
  new BulkheadError('invalid_credential', `${header} is not valid.`, { param: header.toLowerCase() });
