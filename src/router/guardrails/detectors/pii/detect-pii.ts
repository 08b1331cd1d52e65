import { atOnce } from '#app/in-slices.ts';
import { ENTITY_PII_KINDS } from '#app/schemas/guardrails.ts';
import type { Finding } from '#router/guardrails/detectors/finding.ts';
import { overlapWith } from '#router/guardrails/detectors/overlap.ts';
import { detectStructuredPiiInSteps } from '#router/guardrails/detectors/pii/detect-structured.ts';
import { type PiiTagger, tagEntitiesInSteps } from '#router/guardrails/detectors/pii/tagger/pii-tagger.ts';

const BIRTH =
  /\b(?:born|birth(?:day|date)?|dob|d\.o\.b\.?|b\.|geboren|nacid[oa]|n[ée]e?|nat[oa])(?!\p{L})\W{0,4}(?:\p{L}+\W{1,2}){0,2}$/iu;
const BIRTH_CONTEXT = 32;
/** Tagged text that a form explains better is left to the form. */
const WEAKER = 0.6;

const TAGGED: ReadonlySet<string> = new Set([...ENTITY_PII_KINDS, 'date_of_birth']);

/** Is any of these kinds told by the words around it alone? */
export const wantsTagger = (kinds: readonly string[]): boolean => kinds.some((kind) => TAGGED.has(kind));

/** A set of kinds, or a map by kind. */
type Kinds = Readonly<{ has: (kind: string) => boolean; keys: () => Iterable<string> }>;

/** PII of the kinds asked for. Without a tagger, or with none of its kinds asked for, form and check digits alone. */
export const detectPii = (text: string, kinds: Kinds, tagger: PiiTagger | null): Finding[] =>
  atOnce(detectPiiInSteps(text, kinds, tagger));

/** As {@link detectPii}, with breaks in a long text. */
export function* detectPiiInSteps(
  text: string,
  kinds: Kinds,
  tagger: PiiTagger | null,
): Generator<void, Finding[]> {
  const structured = yield* detectStructuredPiiInSteps(text);
  const found = structured.filter(({ kind }) => kinds.has(kind));
  if (tagger === null || !wantsTagger([...kinds.keys()])) return found;
  const isStructured = overlapWith(structured);
  const entities = yield* tagEntitiesInSteps(tagger, text);
  for (const { kind, start, end } of entities) {
    if (isStructured(start, end)) continue;
    const born =
      kind === 'date' &&
      /\d/.test(text.slice(start, end)) &&
      BIRTH.test(text.slice(Math.max(0, start - BIRTH_CONTEXT), start));
    const named = born && kinds.has('date_of_birth') ? 'date_of_birth' : kind;
    if (kinds.has(named)) found.push({ detector: 'pii', kind: named, start, end, confidence: WEAKER });
  }
  return found;
}
