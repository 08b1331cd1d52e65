import { atOnce } from '#app/in-slices.ts';
import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { Logger } from '#observability/logger.ts';
import type { GuardedRequest } from '#router/guardrails/create-guardrails.ts';
import { detectInjection, INJECTION_THRESHOLD } from '#router/guardrails/detectors/detect-injection.ts';
import { guardrailRefusal } from '#router/guardrails/explain-refusal.ts';
import type { GuardrailReason } from '#router/guardrails/inspect-text.ts';
import { GuardrailRefusal, ValueInspector } from '#router/guardrails/inspect-values.ts';
import type { GuardrailModels } from '#router/guardrails/load-models.ts';
import { fold } from '#router/guardrails/normalise/fold.ts';
import { undisguise } from '#router/guardrails/normalise/undisguise.ts';
import {
  type AnswerGuard,
  openAnswerGuard,
  WindowedAnswerGuard,
} from '#router/guardrails/output/answer-guard.ts';
import { compileOutput, type OutputRules } from '#router/guardrails/output/compile-output.ts';
import { guardCitationsWith } from '#router/guardrails/output/guard-citations.ts';
import type { OutputWatch } from '#router/guardrails/output/output-watch.ts';
import type { StreamFinding } from '#router/guardrails/output/stream-scanner.ts';
import { redactSpans } from '#router/guardrails/redact.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import { isMadeMedia } from '#router/policy/media-url.ts';

export type OutputRequest = Omit<GuardedRequest, 'paramOf' | 'signal'>;

/** What is looked at before it is sent to a client. */
export interface OutputGuardrails {
  /** For the answer of one turn. */
  guardAnswer(request: OutputRequest): AnswerGuard;
  /** A text that was stored before, perhaps under another policy: what would be refused is redacted too. Throws where looking fails. */
  redact(policy: CompiledPolicy, text: string): string;
  /** The same with breaks, for a text that may be long. */
  redactInSteps(policy: CompiledPolicy, text: string): Generator<void, string>;
}

export function createOutputGuardrails({
  models,
  logger,
  compile = compileOutput,
}: {
  models: GuardrailModels;
  logger: Logger;
  /** For tests: what is looked for. */
  compile?: typeof compileOutput;
}): OutputGuardrails {
  const compiled = new WeakMap<CompiledPolicy, OutputRules>();
  const rulesOf = (policy: CompiledPolicy): OutputRules => {
    let rules = compiled.get(policy);
    if (rules === undefined) {
      rules = compile(policy, models);
      compiled.set(policy, rules);
    }
    return rules;
  };

  function* redactInSteps(policy: CompiledPolicy, text: string): Generator<void, string> {
    const findings = yield* rulesOf(policy).inspectInSteps(text);
    return redactSpans(
      text,
      findings.filter(({ action }) => action !== 'flag'),
    );
  }
  const redact = (policy: CompiledPolicy, text: string): string => atOnce(redactInSteps(policy, text));

  function watchOf({ policy, context, requestId }: OutputRequest, rules: OutputRules): OutputWatch {
    const tallies = new Map<string, { detector: string; kind: string; action: string; count: number }>();
    const ids = { request_id: requestId, tenant_id: context.tenantId };
    const onFinding = ({
      detector,
      kind,
      action,
    }: Pick<StreamFinding, 'detector' | 'kind' | 'action'>): void => {
      const key = `${detector} ${kind}`;
      const tally = tallies.get(key) ?? { detector, kind, action, count: 0 };
      tally.count++;
      tallies.set(key, tally);
      if (action === 'refuse') throw guardrailRefusal({ detector, kind });
    };
    const told = (findings: readonly GuardrailReason[]) => {
      for (const finding of findings) onFinding(finding);
      return findings;
    };
    // biome-ignore lint/correctness/useYield: a whole text of an answer is short; only requests take breaks.
    function* inspect(text: string): Generator<void, readonly GuardrailReason[]> {
      return told(rules.inspect(text));
    }
    const onEnd = () => {
      if (tallies.size === 0) return;
      logger.info(
        { event: 'guardrails', ...ids, output: [...tallies.values()] },
        'guardrails found something in an answer',
      );
    };
    /** Passages that give orders are told apart, and are data in the prompt all the same. */
    const onPassages = (citations: readonly Citation[]) => {
      if (policy.guardrails.injection.tool === 'allow') return;
      const threshold = policy.guardrails.injection.threshold ?? INJECTION_THRESHOLD;
      const suspicious = citations.filter(
        ({ text }) =>
          detectInjection(models.promptGuard, fold(undisguise(text).text).text, threshold).length > 0,
      );
      if (suspicious.length === 0) return;
      const chunk_ids = suspicious.map(({ chunk_id }) => chunk_id);
      logger.warn(
        { event: 'suspicious_passages', ...ids, chunk_ids },
        'retrieved passages look like prompt injections',
      );
    };
    return {
      scanners: rules.scanners,
      onFinding,
      inspectWhole: (text) =>
        rules.isHarmless(text)
          ? text
          : drain(new ValueInspector(inspect, () => false).value(text, '', 'assistant'), String),
      inspectValue: (value) =>
        drain(new ValueInspector(inspect, isMadeMedia).value(value, '', 'assistant'), (result) => result),
      onFailure: (error) =>
        logger.error(
          { event: 'guardrail_failed', err: error, ...ids },
          'a guardrail failed, so the answer is refused',
        ),
      onPassages,
      onEnd,
    };
  }

  const guardAnswer: OutputGuardrails['guardAnswer'] = (request) => {
    const rules = rulesOf(request.policy);
    const watch = watchOf(request, rules);
    if (!rules.isActive) return openAnswerGuard(watch);
    const guardCitations = guardCitationsWith((text) => redact(request.policy, text));
    return new WindowedAnswerGuard({ watch, guardCitations });
  };

  return { guardAnswer, redact, redactInSteps };
}

/** Runs a generator that takes no breaks. */
function drain<Result, Value>(work: Generator<void, Result>, read: (result: Result) => Value): Value {
  try {
    for (let next = work.next(); ; next = work.next()) if (next.done === true) return read(next.value);
  } catch (error) {
    throw error instanceof GuardrailRefusal ? guardrailRefusal(error.reason) : error;
  }
}
