import { DEFAULT_PII_KINDS } from '#app/schemas/guardrails.ts';
import { turnOfTenant } from '#app/turn-of-tenant.ts';
import type { CompiledGuardrails } from '#router/guardrails/compile-guardrails.ts';
import { type Inspection, inspectText } from '#router/guardrails/inspect-text.ts';
import type { GuardrailModels } from '#router/guardrails/load-models.ts';
import { redactSpans } from '#router/guardrails/redact.ts';
import { redactPatternsOf } from '#router/guardrails/redact-patterns.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import { PatternTime } from '#router/policy/pattern-time.ts';
import type { RedactText } from '#router/request-log/redact-bodies.ts';

/** Redacting this long, requests get their turn. */
const SLICE_MS = 5;
/**
 * What texts of one policy may take, all together; usual ones take a few microseconds a character. Rows of all tenants are
 * written one after the other, so one whose patterns are slow would have the others' dropped.
 */
const TIME_OF_POLICY = { baseMs: 5_000, perCharacterMs: 0.01 };

/**
 * Secrets, personal data of the usual kinds and of those that the tenant names, and whatever matches a pattern of the
 * tenant, replaced by the name of its kind: by the detectors that guard requests, whatever the tenant has them do there.
 * Throws where that takes too long.
 */
export function createRedactText(models: GuardrailModels): RedactText {
  const inspections = new WeakMap<CompiledPolicy, Inspection>();
  const times = new WeakMap<CompiledPolicy, PatternTime>();
  const timeOf = (policy: CompiledPolicy): PatternTime => {
    const time = times.get(policy) ?? new PatternTime(TIME_OF_POLICY);
    times.set(policy, time);
    return time;
  };
  const inspectionOf = (policy: CompiledPolicy): Inspection => {
    const known = inspections.get(policy);
    if (known !== undefined) return known;
    const made = { rules: rulesOf(policy.guardrails), patterns: patternsOf(policy), models };
    inspections.set(policy, made);
    return made;
  };

  return async (text, policy) => {
    const work = inspectText(inspectionOf(policy), text, 'user');
    const time = timeOf(policy).extend(text.length);
    for (let started = performance.now(); ; ) {
      const step = time.spend(() => work.next());
      if (step.done === true) return step.value.length === 0 ? text : redactSpans(text, step.value);
      if (performance.now() - started <= SLICE_MS) continue;
      await turnOfTenant(policy.config.tenant_id);
      started = performance.now();
    }
  };
}

const rulesOf = ({ pii }: CompiledGuardrails): CompiledGuardrails => ({
  injection: { user: 'allow', tool: 'allow', threshold: null },
  secrets: { input: 'redact', output: 'redact' },
  pii: new Map([...DEFAULT_PII_KINDS, ...pii.keys()].map((kind) => [kind, 'redact'])),
});

/** All of them, as patterns that redact. */
const patternsOf = ({ patterns }: CompiledPolicy) =>
  redactPatternsOf(
    patterns.map((pattern, index) => ({
      ...pattern,
      name: `sensitive_patterns.${index}`,
      action: 'redact',
      appliesTo: 'input',
    })),
  );
