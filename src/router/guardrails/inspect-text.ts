import {
  type Action,
  type CompiledGuardrails,
  strictest,
  type TextSource,
} from '#router/guardrails/compile-guardrails.ts';
import {
  detectInjectionInSteps,
  HIDDEN_THRESHOLD,
  INJECTION_THRESHOLD,
} from '#router/guardrails/detectors/detect-injection.ts';
import type { DetectorName, Finding } from '#router/guardrails/detectors/finding.ts';
import { overlapWith } from '#router/guardrails/detectors/overlap.ts';
import { detectPiiInSteps } from '#router/guardrails/detectors/pii/detect-pii.ts';
import { detectSecrets } from '#router/guardrails/detectors/secrets/detect-secrets.ts';
import type { GuardrailModels } from '#router/guardrails/load-models.ts';
import type { TextView, ViewKind } from '#router/guardrails/normalise/text-view.ts';
import { viewsInSteps } from '#router/guardrails/normalise/views.ts';
import { sectionsOf } from '#router/guardrails/sections.ts';
import { PatternTime } from '#router/policy/pattern-time.ts';

/** Why a text was not simply let through. Holds no part of the text. */
export type GuardrailReason = Readonly<{
  detector: DetectorName;
  kind: string;
  action: Action;
  /** UTF-16 units of the text as it came. */
  start: number;
  end: number;
  confidence: number;
  /** The reading of the text that gave it away. */
  view: ViewKind;
}>;

/** A tenant’s pattern that redacts: refusing and flagging ones are decided on beforehand, see `decide-content.ts`. */
export type RedactPattern = Readonly<{
  name: string;
  find: (
    text: string,
    time: PatternTime,
  ) => Generator<void, readonly Readonly<{ start: number; end: number }>[]>;
}>;

export type Inspection = Readonly<{
  rules: CompiledGuardrails;
  patterns: readonly RedactPattern[];
  models: GuardrailModels;
}>;

/** What the tenant’s patterns may take on a text; it takes breaks. */
const PATTERN_TIME = { baseMs: 2_000, perCharacterMs: 0.05 };

/** Words such as roles and types: only a tenant’s own pattern finds anything in them. */
const PLAIN_WORD = /^[a-z_]{0,16}$/;

/** Whether no detector would find anything in the text. */
export const isHarmlessWord = (text: string, patterns: readonly unknown[]): boolean =>
  patterns.length === 0 && PLAIN_WORD.test(text);

/** Readings in which letters are rearranged or lower case: they hold orders, but no secrets and no names. */
const ORDERS_ONLY: ReadonlySet<ViewKind> = new Set(['folded', 'leetspeak', 'spaced', 'rot13', 'reversed']);

/**
 * Looks at a text in every reading, with every detector that the tenant wants. A generator, so that a long text does not
 * keep others waiting: it yields after every few milliseconds of work. Throws where a detector fails: the caller denies.
 */
export function* inspectText(
  { rules, patterns, models }: Inspection,
  text: string,
  source: TextSource,
): Generator<void, GuardrailReason[]> {
  const injection = injectionAction(rules, source);
  const secrets = rules.secrets.input;
  const kinds = rules.pii;
  if (injection === 'allow' && secrets === 'allow' && kinds.size === 0 && patterns.length === 0) return [];
  if (isHarmlessWord(text, patterns)) return [];
  const reasons: GuardrailReason[] = [];
  const time = new PatternTime(PATTERN_TIME).extend(text.length);
  for (const section of sectionsOf(text)) {
    const take = (
      view: TextView,
      findings: readonly Finding[],
      actionOf: (kind: string) => Action | 'allow',
    ) => {
      for (const finding of findings) {
        const action = actionOf(finding.kind);
        if (action === 'allow') continue;
        const { start, end } = view.origin(finding.start, finding.end);
        if (start >= section.own) continue;
        reasons.push({
          ...finding,
          start: start + section.start,
          end: end + section.start,
          action,
          view: view.kind,
        });
      }
    };
    const views = yield* viewsInSteps(section.text);
    for (const view of views) {
      // The plain text is folded in a view of its own; what is decoded has but one.
      if (injection !== 'allow' && view.kind !== 'plain') {
        take(
          view,
          yield* detectInjectionInSteps(models.promptGuard, foldedOf(view), thresholdOf(view, rules)),
          () => injection,
        );
        yield;
      }
      if (ORDERS_ONLY.has(view.kind)) continue;
      const hidden = secrets !== 'allow' || kinds.size > 0 ? detectSecrets(view.text) : [];
      take(view, hidden, () => secrets);
      yield;
      if (kinds.size > 0) {
        const tagger = view.kind === 'plain' ? models.piiTagger : null;
        // What is a secret is no name, whatever it looks like.
        const isHidden = overlapWith(hidden);
        const found = yield* detectPiiInSteps(view.text, kinds, tagger);
        const personal = found.filter(({ start, end }) => !isHidden(start, end));
        take(view, personal, (kind) => kinds.get(kind) ?? 'allow');
        yield;
      }
      for (const { name, find } of patterns) {
        const spans = yield* find(view.text, time);
        const found = spans.map(
          (span): Finding => ({ ...span, detector: 'sensitive_pattern', kind: name, confidence: 1 }),
        );
        take(view, found, () => 'redact');
        yield;
      }
    }
    yield;
  }
  return reasons;
}

/**
 * Earlier answers go as tool results do: the model wrote them, perhaps about an attack, and one that is refused would end the
 * conversation for good.
 */
function injectionAction({ injection }: CompiledGuardrails, source: TextSource) {
  if (source === 'system') return 'allow';
  return source === 'user' ? injection.user : injection.tool;
}

const foldedOf = (view: TextView): string =>
  ORDERS_ONLY.has(view.kind) ? view.text : view.text.toLowerCase();

function thresholdOf({ kind }: TextView, { injection }: CompiledGuardrails): number {
  const threshold = injection.threshold ?? INJECTION_THRESHOLD;
  return kind === 'folded' ? threshold : Math.min(threshold, HIDDEN_THRESHOLD);
}

/** What is to be done in the end: the strictest of all. */
export const actionOf = (reasons: readonly GuardrailReason[]) =>
  strictest(reasons.map(({ action }) => action));
