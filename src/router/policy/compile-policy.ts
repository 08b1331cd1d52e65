import { RE2JS } from 're2js';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { atOnce, inSlices } from '#app/in-slices.ts';
import type { AllowedRoute, TenantConfig } from '#app/schemas/tenant-config.ts';
import { type CompiledGuardrails, compileGuardrails } from '#router/guardrails/compile-guardrails.ts';
import { LATIN_FOR } from '#router/guardrails/normalise/confusables.ts';
import { fold } from '#router/guardrails/normalise/fold.ts';
import { type LimitPlans, planLimits } from '#router/limits/limit-plan.ts';
import { foldCase, undisguise } from '#router/policy/normalise-text.ts';
import { MAX_PATTERN_COST, patternCost } from '#router/policy/pattern-cost.ts';
import { PhraseIndex, wordsOfPhrase } from '#router/policy/phrase-index.ts';
import { requiredLiteral } from '#router/policy/required-literal.ts';

/**
 * RE2 instructions that one pattern, and all patterns of a tenant, may compile to. Matching takes time in
 * proportion to them: `\pL{1000}` is short to write and slow to run.
 */
const MAX_PATTERN_PROGRAM = 500;
const MAX_POLICY_PROGRAM = 5_000;

export type CompiledPattern = Readonly<{
  name: string;
  action: 'refuse' | 'redact' | 'flag';
  appliesTo: 'input' | 'output' | 'both';
  caseSensitive: boolean;
  matcher: RE2JS;
  /** What an ASCII text must hold to match; in lower case where case does not count. null: nothing is sure. */
  literal: string | null;
}>;

/** A tenant's config of one version, ready to decide with. Made once a version, shared by all its requests. */
export type CompiledPolicy = Readonly<{
  config: TenantConfig;
  version: number;
  allowedRoutes: ReadonlySet<AllowedRoute>;
  /** Names as {@link toolKey} gives them. */
  blockedTools: ReadonlySet<string>;
  /** null: every model of the engine. */
  models: ReadonlySet<string> | null;
  /** The limits, and what never changes in the headers that tell of them. */
  limits: LimitPlans;
  patterns: readonly CompiledPattern[];
  /** The built-in detectors. */
  guardrails: CompiledGuardrails;
  /** Finds the index of the refusal rule whose phrase a text holds. */
  phrases: PhraseIndex;
  /** What a character of a text costs at most: RE2 instructions, and the words of the longest phrase. */
  weight: number;
}>;

/** Tool names are compared without case, accents and disguise, such as letters of other alphabets that look like Latin ones. */
export const toolKey = (name: string): string =>
  [...foldCase(fold(undisguise(name)).text)]
    .map((letter) => LATIN_FOR.get(letter) ?? letter)
    .join('')
    .trim();

/** Throws `invalid_request` naming the field, such as `sensitive_patterns.3.pattern`. In one piece: for threads, and tests. */
export const compilePolicy = (config: TenantConfig, version: number): CompiledPolicy =>
  atOnce(policyInSteps(config, version));

/**
 * As {@link compilePolicy}, and others have their turn after each pattern. What is stored was checked when it was written, and is
 * not refused for its cost today.
 */
export const compileStoredPolicy = (config: TenantConfig, version: number): Promise<CompiledPolicy> =>
  inSlices(policyInSteps(config, version), { tenantId: config.tenant_id });

/** As {@link compileStoredPolicy}, for a config that is new: no pattern may cost more to compile than others can wait for. */
export function compileNewPolicy(config: TenantConfig, version: number): Promise<CompiledPolicy> {
  for (const [index, { pattern, case_sensitive }] of config.sensitive_patterns.entries()) {
    if (patternCost(pattern, case_sensitive) > MAX_PATTERN_COST) {
      const field = `sensitive_patterns.${index}.pattern`;
      return Promise.reject(
        invalid(field, 'takes too long to compile; use fewer classes, narrower ranges or fewer repetitions'),
      );
    }
  }
  return compileStoredPolicy(config, version);
}

/** Phrases of a step. */
const PHRASES_A_STEP = 32;

function* policyInSteps(config: TenantConfig, version: number): Generator<void, CompiledPolicy> {
  let program = 0;
  const patterns: CompiledPattern[] = [];
  for (const [index, pattern] of config.sensitive_patterns.entries()) {
    yield;
    const field = `sensitive_patterns.${index}.pattern`;
    const matcher = compilePattern(pattern.pattern, pattern.case_sensitive, field);
    program += matcher.programSize();
    if (program > MAX_POLICY_PROGRAM) throw invalid(field, 'the patterns together are too large to run');
    const literal = requiredLiteral(pattern.pattern);
    patterns.push({
      name: pattern.name,
      action: pattern.action,
      appliesTo: pattern.applies_to,
      caseSensitive: pattern.case_sensitive,
      matcher,
      literal: pattern.case_sensitive ? literal : (literal?.toLowerCase() ?? null),
    });
  }
  const phrases = new PhraseIndex();
  let longest = 0;
  for (const [index, rule] of config.refusal_rules.entries()) {
    for (const [place, phrase] of rule.phrases.entries()) {
      if (place % PHRASES_A_STEP === 0) yield;
      const words = wordsOfPhrase(phrase).length;
      longest = Math.max(longest, words);
      if (words === 0) {
        throw invalid(`refusal_rules.${index}.phrases.${place}`, 'must hold a letter or a digit');
      }
      phrases.add(phrase, index);
    }
  }
  return {
    config,
    version,
    allowedRoutes: new Set(config.allowed_routes),
    blockedTools: new Set(config.blocked_tools.map(toolKey)),
    models: config.models === null ? null : new Set(config.models),
    limits: planLimits(config.tenant_id, config.rate_limits),
    patterns,
    guardrails: compileGuardrails(config),
    phrases,
    weight: program + longest,
  };
}

function compilePattern(pattern: string, caseSensitive: boolean, field: string): RE2JS {
  let matcher: RE2JS;
  try {
    matcher = RE2JS.compile(pattern, caseSensitive ? 0 : RE2JS.CASE_INSENSITIVE);
  } catch (error) {
    // The library's messages quote the pattern alone, which the caller wrote.
    const reason = error instanceof Error ? error.message : 'it does not compile';
    throw invalid(field, `must be a pattern in RE2 syntax: ${reason}`);
  }
  if (matcher.programSize() > MAX_PATTERN_PROGRAM)
    throw invalid(field, 'is too large to run on every message');
  if (matcher.test('')) throw invalid(field, 'matches the empty text, so it would match everything');
  return matcher;
}

const invalid = (param: string, message: string) =>
  new BulkheadError('invalid_request', `${param}: ${message}`, { param });
