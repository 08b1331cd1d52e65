import type { RedactPattern } from '#router/guardrails/inspect-text.ts';
import { spansOf } from '#router/guardrails/output/pattern-scanner.ts';
import type { CompiledPattern } from '#router/policy/compile-policy.ts';
import { matchesPattern } from '#router/policy/decide-content.ts';
import { normaliseText } from '#router/policy/normalise-text.ts';

/** The tenant’s patterns that redact what callers send. */
export const redactPatternsOf = (patterns: readonly CompiledPattern[]): RedactPattern[] =>
  patterns
    .filter(({ action, appliesTo }) => action === 'redact' && appliesTo !== 'output')
    .map((pattern) => ({
      name: pattern.name,
      *find(text, time) {
        const spans = yield* spansOf(pattern.matcher, text, time);
        // A match that shows in another form of the text alone has no place in it: all of the text goes.
        if (spans.length === 0 && time.spend(() => matchesPattern(pattern, normaliseText(text))))
          return [{ start: 0, end: text.length }];
        return spans;
      },
    }));
