import { atOnce } from '#app/in-slices.ts';
import type { CompiledGuardrails } from '#router/guardrails/compile-guardrails.ts';
import { overlapWith } from '#router/guardrails/detectors/overlap.ts';
import { detectPiiInSteps, wantsTagger } from '#router/guardrails/detectors/pii/detect-pii.ts';
import { detectSecrets } from '#router/guardrails/detectors/secrets/detect-secrets.ts';
import { type GuardrailReason, isHarmlessWord } from '#router/guardrails/inspect-text.ts';
import type { GuardrailModels } from '#router/guardrails/load-models.ts';
import { originOf } from '#router/guardrails/normalise/text-view.ts';
import { undisguiseInSteps } from '#router/guardrails/normalise/undisguise.ts';
import { createKeyBlockScanner } from '#router/guardrails/output/key-block-scanner.ts';
import {
  createPatternScanner,
  type OutputPattern,
  spansOf,
} from '#router/guardrails/output/pattern-scanner.ts';
import { SENTENCE_SEGMENTS, WORD_SEGMENTS } from '#router/guardrails/output/segment-policies.ts';
import { createSegmentScanner, type SegmentDetector } from '#router/guardrails/output/segment-scanner.ts';
import type { StreamScanner } from '#router/guardrails/output/stream-scanner.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import { PatternTime } from '#router/policy/pattern-time.ts';

/** What is looked for in answers. */
export type OutputRules = Readonly<{
  /** False where the tenant wants nothing looked for. */
  isActive: boolean;
  /** New scanners for one text that streams. */
  scanners: () => StreamScanner[];
  /** Whether nothing would be found in the text, as in roles and types: one look is enough. */
  isHarmless: (text: string) => boolean;
  /** A text that is there as a whole. */
  inspect: (text: string) => GuardrailReason[];
  /** The same with breaks, for a text that may be long. */
  inspectInSteps: (text: string) => Generator<void, GuardrailReason[]>;
}>;

const STRUCTURED_ONLY = null;

export function compileOutput(policy: CompiledPolicy, models: GuardrailModels): OutputRules {
  const { secrets, pii } = policy.guardrails;
  const patterns = policy.patterns.filter(({ appliesTo }) => appliesTo !== 'input');
  const words = undisguised(function* (text) {
    const hidden = secretsIn(text, secrets.output);
    yield;
    return pii.size === 0 ? hidden : [...hidden, ...(yield* personalData(text, pii, STRUCTURED_ONLY))];
  });
  const sentences = undisguised(function* (text) {
    // What is a secret is no name, whatever it looks like.
    const isHidden = overlapWith(secretsIn(text, 'redact'));
    yield;
    const found = yield* personalData(text, pii, models.piiTagger);
    return found.filter(({ kind, start, end }) => wantsTagger([kind]) && !isHidden(start, end));
  });
  const wantsWords = secrets.output !== 'allow' || pii.size > 0;
  const wantsSentences = wantsTagger([...pii.keys()]);
  return {
    isActive: wantsWords || patterns.length > 0,
    scanners: () => [
      ...(secrets.output === 'allow' ? [] : [createKeyBlockScanner(secrets.output)]),
      // Keys have a scanner of their own: they are longer than a segment.
      ...(wantsWords
        ? [
            createSegmentScanner(WORD_SEGMENTS, (text) =>
              atOnce(words(text)).filter(({ kind }) => kind !== 'private_key'),
            ),
          ]
        : []),
      ...(wantsSentences ? [createSegmentScanner(SENTENCE_SEGMENTS, (text) => atOnce(sentences(text)))] : []),
      ...(patterns.length === 0 ? [] : [createPatternScanner(patterns)]),
    ],
    isHarmless: (text) => isHarmlessWord(text, patterns),
    inspect: (text) => atOnce(inspectInSteps(text)),
    inspectInSteps,
  };

  function* inspectInSteps(text: string): Generator<void, GuardrailReason[]> {
    if (isHarmlessWord(text, patterns)) return [];
    const found = [
      ...(yield* words(text)),
      ...(wantsSentences ? yield* sentences(text) : []),
      ...(yield* patternsIn(text, patterns)),
    ];
    return found.map((one) => ({ ...one, confidence: 1, view: 'plain' as const }));
  }
}

type Found = ReturnType<SegmentDetector>[number];

const secretsIn = (text: string, action: CompiledGuardrails['secrets']['output']): Found[] =>
  action === 'allow'
    ? []
    : detectSecrets(text).map(({ kind, start, end }) => ({ detector: 'secrets', kind, action, start, end }));

function* personalData(
  text: string,
  kinds: CompiledGuardrails['pii'],
  tagger: GuardrailModels['piiTagger'] | null,
): Generator<void, Found[]> {
  const found = yield* detectPiiInSteps(text, kinds, tagger);
  return found.flatMap(({ kind, start, end }): Found[] => {
    const action = kinds.get(kind);
    return action === undefined ? [] : [{ detector: 'pii', kind, action, start, end }];
  });
}

/** What they may take on a whole text: nobody else has a turn meanwhile. */
const PATTERN_TIME = { baseMs: 500, perCharacterMs: 0.005 };

function* patternsIn(text: string, patterns: readonly OutputPattern[]): Generator<void, Found[]> {
  const time = new PatternTime(PATTERN_TIME).extend(text.length);
  const found: Found[] = [];
  for (const { name, action, matcher } of patterns) {
    const spans = yield* spansOf(matcher, text, time);
    for (const span of spans) found.push({ ...span, detector: 'sensitive_pattern', kind: name, action });
  }
  return found;
}

/** Looks at the text without its disguise, and tells places in the text as it is. */
const undisguised = (detect: (plain: string) => Generator<void, readonly Found[]>) =>
  function* (text: string): Generator<void, Found[]> {
    const plain = yield* undisguiseInSteps(text);
    const found = yield* detect(plain.text);
    return found.map((one) => ({ ...one, ...originOf(plain.map, one.start, one.end) }));
  };
