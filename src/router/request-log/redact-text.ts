import type { CompiledPattern } from '#router/policy/compile-policy.ts';
import { normaliseText } from '#router/policy/normalise-text.ts';
import type { RedactText } from '#router/request-log/redact-bodies.ts';

type Span = Readonly<{ start: number; end: number; kind: string }>;

/** Credentials and personal data that are known by their form. All of them run in linear time. */
const FORMS: readonly { kind: string; form: RegExp; isReal?: (match: string) => boolean }[] = [
  { kind: 'api_key', form: /\b(?:bk_[0-9a-z]{26}_|sk-|ghp_|gho_|xox[abp]-|AKIA)[A-Za-z0-9_-]{12,200}/g },
  { kind: 'token', form: /\beyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,8000}\.[A-Za-z0-9_-]{8,1000}/g },
  { kind: 'private_key', form: /-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]{0,20000}/g },
  { kind: 'email', form: /[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}/g },
  { kind: 'card_number', form: /\b\d(?:[ -]?\d){12,18}\b/g, isReal: passesLuhn },
  { kind: 'iban', form: /\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b/g },
  { kind: 'ssn', form: /\b\d{3}-\d{2}-\d{4}\b/g },
  { kind: 'phone', form: /\+\d(?:[ ().-]{0,2}\d){7,14}\b/g },
];

/** Tenants' sensitive patterns, and what is known by its form, replaced by the name of its kind. */
export const redactText: RedactText = (text, policy) => {
  const spans: Span[] = [];
  for (const [index, pattern] of policy.patterns.entries()) {
    const found = spansOfPattern(text, pattern, `sensitive_patterns.${index}`);
    // It matches only without the disguise, which has no places in the text: then nothing of the text is kept.
    if (found === null) return `[REDACTED:sensitive_patterns.${index}]`;
    spans.push(...found);
  }
  for (const { kind, form, isReal } of FORMS) {
    for (const match of text.matchAll(form)) {
      if (isReal?.(match[0]) === false) continue;
      spans.push({ start: match.index, end: match.index + match[0].length, kind });
    }
  }
  return spans.length === 0 ? text : replaceSpans(text, spans);
};

function spansOfPattern(text: string, pattern: CompiledPattern, kind: string): Span[] | null {
  const spans: Span[] = [];
  const matcher = pattern.matcher.matcher(text);
  while (matcher.find()) spans.push({ start: matcher.start(), end: matcher.end(), kind });
  if (spans.length > 0) return spans;
  const { plain, folded } = normaliseText(text);
  const isDisguised = [...plain, ...(pattern.caseSensitive ? [] : [folded])].some((form) =>
    pattern.matcher.test(form),
  );
  return isDisguised ? null : spans;
}

/** Spans that touch become one, named after the first. */
function replaceSpans(text: string, spans: readonly Span[]): string {
  let result = '';
  let at = 0;
  for (const { start, end, kind } of [...spans].sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (end <= at) continue;
    if (start >= at) result += `${text.slice(at, start)}[REDACTED:${kind}]`;
    at = end;
  }
  return result + text.slice(at);
}

function passesLuhn(match: string): boolean {
  const digits = [...match.replace(/\D/g, '')].map(Number).reverse();
  const sum = digits.reduce((total, digit, index) => {
    const value = index % 2 === 1 ? digit * 2 : digit;
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}
