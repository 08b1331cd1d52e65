import type { Finding } from '#router/guardrails/detectors/finding.ts';
import { type PromptGuard, scoreText } from '#router/guardrails/prompt-guard/prompt-guard-model.ts';

/** Chosen on development sets so that about one ordinary request in a hundred scores higher; see docs/guardrails.md. */
export const INJECTION_THRESHOLD = 0.5;
/** Readings that somebody took trouble to hide count as attacks sooner. */
export const HIDDEN_THRESHOLD = 0;

/** Orders to the model that work against its instructions. The text must be folded; the finding is the worst window. */
export function detectInjection(
  guard: PromptGuard,
  folded: string,
  threshold: number = INJECTION_THRESHOLD,
): Finding[] {
  const best = scoreText(guard, folded);
  if (best === null || best.score <= threshold) return [];
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
