import type { Span } from '#router/guardrails/normalise/text-view.ts';

/** What stands in the place of a redacted text. */
export const redactionOf = (kind: string): string => `[REDACTED:${kind}]`;

/**
 * The text with each span replaced by the name of its kind. Spans that touch in part become one, named after the one
 * that begins first, and among those after the longest.
 */
export function redactSpans(
  text: string,
  spans: readonly (Span & { kind: string })[],
  replacementOf: (kind: string) => string = redactionOf,
): string {
  const ordered = [...spans].sort((a, b) => a.start - b.start || b.end - a.end);
  let result = '';
  let at = 0;
  for (const { start, end, kind } of ordered) {
    if (end <= at) continue;
    // What begins inside the last redaction only makes it longer.
    if (start >= at) result += text.slice(at, start) + replacementOf(kind);
    at = end;
  }
  return result + text.slice(at);
}
