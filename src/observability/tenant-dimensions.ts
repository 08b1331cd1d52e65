/** Tenants with requests that are counted to find the busiest, at most, beside those that have metrics of their own. */
const MAX_CANDIDATES = 1_000;
/** A candidate takes a tenant's place once it has this many times its requests: places do not change back and forth. */
const LEAD = 2;
/** Counts are halved this often, milliseconds: what counts is who is busy now. */
const HALVE_MS = 3_600_000;

/**
 * Which tenants have metrics of their own. With a list, those; with `*`, the busiest `max` of all: each combination is billed, and
 * the number of tenants has no bound. `onRemoved` learns of a tenant that has lost its place.
 */
export function createTenantDimensions(options: {
  tenants: '*' | readonly string[];
  max: number;
  /** Milliseconds, any origin. */
  now: () => number;
  onRemoved?: (tenantId: string) => void;
}) {
  const { tenants, max, now, onRemoved } = options;
  const listed = tenants === '*' ? null : new Set(tenants.slice(0, max));
  const own = new Map<string, number>();
  const candidates = new Map<string, number>();
  let halvedAt = now();

  function halve(counts: Map<string, number>): void {
    for (const [tenantId, count] of counts) {
      if (count > 1) counts.set(tenantId, count / 2);
      else if (counts === candidates) counts.delete(tenantId);
    }
  }

  /** The least busy of those with metrics of their own. */
  function least(): readonly [string, number] | undefined {
    let found: readonly [string, number] | undefined;
    for (const entry of own) if (found === undefined || entry[1] < found[1]) found = entry;
    return found;
  }

  function hasOwn(tenantId: string): boolean {
    if (listed !== null) return listed.has(tenantId);
    if (now() - halvedAt > HALVE_MS) {
      halvedAt = now();
      halve(own);
      halve(candidates);
    }
    const count = own.get(tenantId);
    if (count !== undefined) {
      own.set(tenantId, count + 1);
      return true;
    }
    if (own.size < max) {
      own.set(tenantId, 1);
      return true;
    }
    const asked = (candidates.get(tenantId) ?? 0) + 1;
    const weakest = least();
    if (weakest !== undefined && asked > weakest[1] * LEAD) {
      own.delete(weakest[0]);
      candidates.delete(tenantId);
      own.set(tenantId, asked);
      onRemoved?.(weakest[0]);
      return true;
    }
    // The one that has asked longest ago goes: thousands that ask once do not keep a busy one from being seen.
    candidates.delete(tenantId);
    candidates.set(tenantId, asked);
    const [longestAgo] = candidates.keys();
    if (candidates.size > MAX_CANDIDATES && longestAgo !== undefined) candidates.delete(longestAgo);
    return false;
  }

  return {
    /** Counts a request of the tenant; whether it has metrics of its own. */
    hasOwn,
    /** Tenants with metrics of their own. */
    get size(): number {
      return listed?.size ?? own.size;
    },
  };
}
