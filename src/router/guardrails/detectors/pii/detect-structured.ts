import { atOnce } from '#app/in-slices.ts';
import type { Finding } from '#router/guardrails/detectors/finding.ts';
import { overlapWith } from '#router/guardrails/detectors/overlap.ts';
import { addAccounts } from '#router/guardrails/detectors/pii/accounts.ts';
import { addEmails, addIpAddresses, addUrls } from '#router/guardrails/detectors/pii/addresses.ts';
import { foldDigits } from '#router/guardrails/detectors/pii/fold-digits.ts';
import { addPhones } from '#router/guardrails/detectors/pii/phones.ts';

/** Takes a finding down. */
export type Add = (kind: string, start: number, length: number, confidence: number) => void;

/** Characters before a number that tell what it is. */
const CONTEXT_CHARACTERS = 48;

export const contextOf = (text: string, index: number): string =>
  text.slice(Math.max(0, index - CONTEXT_CHARACTERS), index);

/** PII that its form and its check digits give away. */
export const detectStructuredPii = (original: string): Finding[] =>
  atOnce(detectStructuredPiiInSteps(original));

/** As {@link detectStructuredPii}, with a break after each kind. */
export function* detectStructuredPiiInSteps(original: string): Generator<void, Finding[]> {
  const text = foldDigits(original);
  const findings: Finding[] = [];
  const add: Add = (kind, start, length, confidence) => {
    findings.push({ detector: 'pii', kind, start, end: start + length, confidence });
  };
  addEmails(text, add);
  yield;
  addUrls(text, unlessPart(text, findings, add));
  yield;
  addIpAddresses(text, add);
  if (/\d/.test(text)) {
    yield;
    const rest = yield* addAccounts(text, add);
    yield;
    yield* addPhones(rest, unlessPart(text, findings, add));
  }
  return findings;
}

/**
 * Takes phones down unless their digits are of an account or an address that was found before, and all else as it comes. With a plus
 * they are a phone in a link too.
 */
function unlessPart(text: string, findings: readonly Finding[], add: Add): Add {
  const before = findings.length;
  let ofAny: ReturnType<typeof overlapWith> | null = null;
  let ofAccounts: ReturnType<typeof overlapWith> | null = null;
  return (kind, start, length, confidence) => {
    if (kind === 'phone') {
      // Phones do not overlap one another, and are looked for before the links: what was there at first is all there is.
      const others = () => findings.slice(0, before);
      ofAny ??= overlapWith(others());
      if (ofAny(start, start + length)) {
        if (!/[+%]/.test(text[start] ?? '')) return;
        ofAccounts ??= overlapWith(others().filter((other) => other.kind !== 'url'));
        if (ofAccounts(start, start + length)) return;
      }
    }
    add(kind, start, length, confidence);
  };
}
