import type { RankedSources } from '#inference/extractive/rank-units.ts';

/**
 * How sure we are that the sources hold an answer, from 0 to about 1.2:
 *
 * - the nearest unit by meaning, and the best one by meaning and words together, which guards against a unit
 *   that is near for its tone alone;
 * - the share of the question's words that the best source holds: a question of the same kind about another
 *   subject has near sentences, but its own words are missing;
 * - a name that is in none of the sources.
 */
export function answerConfidence({ ranked, sourceCoverage, namesTheUnknown }: RankedSources): number {
  if (ranked.length === 0) return 0;
  const best = ranked.reduce((a, b) => (b.relevance > a.relevance ? b : a));
  const nearest = Math.max(...ranked.map(({ similarity }) => similarity));
  return (best.similarity + nearest) / 2 + 0.2 * sourceCoverage - (namesTheUnknown ? 0.15 : 0);
}

/** Below this, the engine says that it found nothing. Tuned on half of bench/data/questions.json, shown on the other. */
export const ANSWER_THRESHOLD = 0.7;
