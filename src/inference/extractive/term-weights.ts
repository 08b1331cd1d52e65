import { questionTerms } from '#inference/extractive/question-terms.ts';

export type TermWeights = {
  /** The share of the question's terms that something has, 0 to 1; `has` says how far it has one, 0 to 1. */
  coverage(has: (term: string) => number): number;
};

/**
 * Weighs a question's terms by how few of the units hold them. A term of most units tells little; one of none
 * weighs most, so that a missing subject counts. The statistics are those of one answer's sources and of
 * nothing else: they cannot tell one tenant about another's documents.
 */
export function weighTerms(question: string, units: readonly ReadonlySet<string>[]): TermWeights {
  const weights = [...questionTerms(question)].map((term) => {
    const holders = units.filter((stems) => stems.has(term)).length;
    return [term, Math.log(1 + (units.length + 1) / (holders + 0.5))] as const;
  });
  const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
  return {
    coverage: (has) =>
      total === 0 ? 0 : weights.reduce((sum, [term, weight]) => sum + weight * has(term), 0) / total,
  };
}
