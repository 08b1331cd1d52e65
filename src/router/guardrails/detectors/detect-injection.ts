import type { Finding } from '#router/guardrails/detectors/finding.ts';
import { type PromptGuard, scoreText } from '#router/guardrails/prompt-guard/prompt-guard-model.ts';

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

/** Orders to the model that work against its instructions. The text must be folded; the finding is the worst window. */
export function detectInjection(
  guard: PromptGuard,
  folded: string,
  threshold: number = INJECTION_THRESHOLD,
): Finding[] {
  const best = scoreText(guard, folded);
  if (best === null || best.score <= threshold + GROWTH_OF_THRESHOLD * Math.log2(best.windows)) return [];
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
