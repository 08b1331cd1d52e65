import { firstIdAt } from '#app/ids.ts';
import type { TenantConfig } from '#app/schemas/tenant-config.ts';

const DAY_MS = 86_400_000;
/** After every id. */
const NEVER = 'resp_~';

/** Responses from this id on are kept for the tenant; those before it are gone. `now`: milliseconds since 1970. */
export function keptSince(
  { responses, retention_days: ofAll }: Pick<TenantConfig, 'responses' | 'retention_days'>,
  now: number,
): string {
  if (!responses.store) return NEVER;
  const days = Math.min(responses.retention_days, ofAll ?? Number.POSITIVE_INFINITY);
  return firstIdAt('resp', now - days * DAY_MS);
}
