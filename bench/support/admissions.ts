import type { createClient } from '@redis/client';

/**
 * When Redis admitted each of a tenant's requests, in milliseconds of its own clock, oldest first: the limiter keeps one entry
 * a millisecond, with how many there have been so far.
 */
export async function admissionsOf(
  client: Pick<ReturnType<typeof createClient>, 'zRangeWithScores'>,
  tenantId: string,
): Promise<number[]> {
  const entries = await client.zRangeWithScores(`bulkhead:{${tenantId}}:limits:tenant:requests`, 0, -1);
  let before = 0;
  return entries.flatMap(({ value, score }) => {
    const count = Number(value) - before;
    before = Number(value);
    return Array.from({ length: count }, () => score);
  });
}

/** The most of these times, which are in order, that any window of this length holds. */
export function mostInAWindow(times: readonly number[], windowMs: number): number {
  let most = 0;
  let from = 0;
  for (const [index, time] of times.entries()) {
    // A window is open at its begin: what is exactly its length ago has left it.
    while ((times[from] ?? time) <= time - windowMs) from++;
    most = Math.max(most, index - from + 1);
  }
  return most;
}
