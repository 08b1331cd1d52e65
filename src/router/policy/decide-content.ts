import { atOnce } from '#app/in-slices.ts';
import type { CompiledPattern, CompiledPolicy } from '#router/policy/compile-policy.ts';
import { type NormalisedText, normaliseText } from '#router/policy/normalise-text.ts';
import type { Refusal } from '#router/policy/refusal.ts';

/** A text of the request and the field that holds it. */
export type RequestText = Readonly<{ text: string; param: string }>;

export type ContentDecision = Readonly<{
  refusal: Refusal | null;
  /** Names of patterns that match and only flag. */
  flags: readonly string[];
}>;

const PASSED: ContentDecision = Object.freeze({ refusal: null, flags: [] });

/** May this text reach an engine? Sensitive patterns decide first, then refusal rules. */
export const decideContent = (policy: CompiledPolicy, text: RequestText): ContentDecision =>
  atOnce(contentSteps(policy, text));

/** {@link decideContent}, with a break before each pattern. */
export function* contentSteps(
  policy: CompiledPolicy,
  { text, param }: RequestText,
): Generator<void, ContentDecision> {
  if (policy.patterns.length === 0 && policy.config.refusal_rules.length === 0) return PASSED;
  const normalised = normaliseText(text);
  const flags: string[] = [];
  let index = -1;
  // For every text of every request: an iterator of pairs would cost more than most of what is in it.
  for (const pattern of policy.patterns) {
    index += 1;
    // What is redacted is cut out afterwards, and output is looked at when there is some.
    if (pattern.action === 'redact' || pattern.appliesTo === 'output') continue;
    yield;
    if (!matchesPattern(pattern, normalised)) continue;
    if (pattern.action === 'flag') {
      flags.push(pattern.name);
      continue;
    }
    const refusal: Refusal = {
      code: 'guardrail_refused',
      policy: `sensitive_patterns.${index}`,
      message: `The content matches the tenant’s sensitive pattern “${pattern.name}”.`,
      param,
    };
    return { refusal, flags };
  }
  const rule = policy.phrases.find(normalised.folded);
  if (rule === null) return flags.length === 0 ? PASSED : { refusal: null, flags };
  const refusal: Refusal = {
    code: 'guardrail_refused',
    policy: `refusal_rules.${rule}`,
    message: policy.config.refusal_rules[rule]?.message ?? 'This subject is not answered here.',
    param,
  };
  return { refusal, flags };
}

/** Does the pattern match any form of the text? */
export function matchesPattern(pattern: CompiledPattern, text: NormalisedText): boolean {
  const { literal } = pattern;
  if (literal !== null && text.isAscii) {
    const where = pattern.caseSensitive ? (text.plain[0] ?? '') : text.folded;
    if (!where.includes(literal)) return false;
  }
  if (text.plain.some((form) => pattern.matcher.test(form))) return true;
  return !pattern.caseSensitive && text.plain[0] !== text.folded && pattern.matcher.test(text.folded);
}
