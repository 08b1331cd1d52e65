/**
 * The constant of reciprocal rank fusion. 60 is what its authors found robust over many collections: Cormack,
 * Clarke and Büttcher, "Reciprocal Rank Fusion outperforms Condorcet and individual Rank Learning Methods",
 * SIGIR 2009.
 */
export const RANK_CONSTANT = 60;

export type Fused<Item> = { item: Item; score: number };

/**
 * Fuses rankings: an item scores the sum of 1 / (60 + rank) over the rankings that hold it, rank from 1. Only
 * places count, so scores of different kinds need no common scale. Ties keep the order of the first ranking.
 */
export function fuseByReciprocalRank<Item>(
  rankings: readonly (readonly Item[])[],
  idOf: (item: Item) => string,
): Fused<Item>[] {
  const fused = new Map<string, Fused<Item>>();
  for (const ranking of rankings) {
    for (const [place, item] of ranking.entries()) {
      const score = 1 / (RANK_CONSTANT + place + 1);
      const known = fused.get(idOf(item));
      if (known === undefined) fused.set(idOf(item), { item, score });
      else known.score += score;
    }
  }
  return [...fused.values()].sort((a, b) => b.score - a.score);
}
