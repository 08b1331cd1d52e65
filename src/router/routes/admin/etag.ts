import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { Tenant } from '#app/schemas/tenant.ts';

/** A config's version, as an entity tag. */
export const etagOf = ({ version }: Tenant): string => `"${version}"`;

/** The version that `If-Match` asks for; null where any will do. Throws a 412 for a tag that is none of ours. */
export function versionOfIfMatch(header: string | undefined): number | null {
  if (header === undefined || header.trim() === '*') return null;
  const version = /^"([1-9][0-9]{0,8})"$/.exec(header.trim())?.[1];
  if (version === undefined) {
    throw new BulkheadError('precondition_failed', 'If-Match must be one ETag of the tenant, such as "3".', {
      param: 'if-match',
    });
  }
  return Number(version);
}
