/** Two passages this close by cosine say the same: copies, and texts that differ in a date or a name. */
export const NEAR_DUPLICATE_COSINE = 0.97;

type Candidate = { vector: Float32Array; score: number };

/**
 * Picks `limit` of the candidates (best first) by maximal marginal relevance: the one that is most relevant and
 * least like those already picked, Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for
 * Reordering Documents and Producing Summaries", SIGIR 1998. `diversity` is 1 - λ: 0 keeps the order, 1 looks at
 * differences alone. Near duplicates of a picked one come after everything else, so they only fill up.
 */
export function selectDiverse<Item extends Candidate>(
  candidates: readonly Item[],
  limit: number,
  diversity: number,
): Item[] {
  if (diversity === 0) return candidates.slice(0, limit);
  const best = Math.max(...candidates.map((candidate) => candidate.score), Number.MIN_VALUE);
  const left = candidates.map((item) => ({ item, relevance: item.score / best, likeness: -1 }));
  const picked: Item[] = [];
  while (picked.length < limit && left.length > 0) {
    let at = 0;
    let highest = Number.NEGATIVE_INFINITY;
    for (const [i, { relevance, likeness }] of left.entries()) {
      const isCopy = likeness >= NEAR_DUPLICATE_COSINE;
      const value = (1 - diversity) * relevance - diversity * Math.max(likeness, 0) - (isCopy ? 10 : 0);
      if (value > highest) [at, highest] = [i, value];
    }
    const [next] = left.splice(at, 1);
    if (next === undefined) break;
    picked.push(next.item);
    for (const other of left) {
      other.likeness = Math.max(other.likeness, dotProduct(next.item.vector, other.item.vector));
    }
  }
  return picked;
}

/** The cosine, of unit vectors. */
function dotProduct(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}
