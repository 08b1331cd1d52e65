import type { Finding } from '#router/guardrails/detectors/finding.ts';
import {
  type PromptGuard,
  type PromptGuardScore,
  scoreText,
  scoreTextInSteps,
} from '#router/guardrails/prompt-guard/prompt-guard-model.ts';

/**
 * The log-odds that the window of a short text must reach. Chosen on ordinary development sets, short and long, so that fewer than
 * one in a hundred of either are refused; see docs/guardrails.md.
 */
export const INJECTION_THRESHOLD = -1.4;
/**
 * Added for every doubling of the number of windows: the most attack-like of a thousand ordinary windows scores higher than one
 * of them does.
 */
export const GROWTH_OF_THRESHOLD = 0.25;
/** Readings that somebody took trouble to hide count as attacks sooner. */
export const HIDDEN_THRESHOLD = 0;

/** A text of so few different words, marks among them, is judged by {@link FEW_WORDS_THRESHOLD}. */
const FEW_WORDS = 12;
/**
 * The least that a text of few words must reach. The model has learned from few such texts, and short orders are what people say
 * most ("Answer with one word"): at the threshold of other texts, one in seven of them was refused. See docs/guardrails.md.
 */
export const FEW_WORDS_THRESHOLD = 1;

/** Orders to the model that work against its instructions. The text must be folded; the finding is the worst window. */
export const detectInjection = (
  guard: PromptGuard,
  folded: string,
  threshold: number = INJECTION_THRESHOLD,
): Finding[] => judge(scoreText(guard, folded), threshold);

/** As {@link detectInjection}; of a long text, others have their turn now and then. */
export function* detectInjectionInSteps(
  guard: PromptGuard,
  folded: string,
  threshold: number,
): Generator<void, Finding[]> {
  return judge(yield* scoreTextInSteps(guard, folded), threshold);
}

function judge(best: PromptGuardScore | null, threshold: number): Finding[] {
  if (best === null) return [];
  const least =
    best.words !== null && best.words <= FEW_WORDS
      ? Math.max(threshold, FEW_WORDS_THRESHOLD)
      : threshold + GROWTH_OF_THRESHOLD * Math.log2(best.windows);
  if (best.score <= least) return [];
  return [
    {
      detector: 'prompt_injection',
      kind: 'prompt_injection',
      start: best.start,
      end: best.end,
      confidence: 1 / (1 + Math.exp(-best.score)),
    },
  ];
}
