import { DEFAULT_PII_KINDS, type GuardrailAction, PII_KINDS, type PiiKind } from '#app/schemas/guardrails.ts';
import type { TenantConfig } from '#app/schemas/tenant-config.ts';

export type Action = Exclude<GuardrailAction, 'allow'>;

/** Who wrote a text of a request. What tools returned may have been written by anybody. */
export type TextSource = 'user' | 'system' | 'assistant' | 'tool';

/** The built-in detectors of one tenant, ready to decide with. */
export type CompiledGuardrails = Readonly<{
  injection: Readonly<{ user: GuardrailAction; tool: GuardrailAction; threshold: number | null }>;
  secrets: Readonly<{ input: GuardrailAction; output: GuardrailAction }>;
  /** Kinds of personal data to look for, both ways. */
  pii: ReadonlyMap<string, Action>;
}>;

/** Kinds that nobody speaks of go by the tenant’s `pii`, if they are among the usual ones. */
export function compileGuardrails({ guardrails, pii }: TenantConfig): CompiledGuardrails {
  const { prompt_injection, secrets } = guardrails;
  const actionOf = (kind: PiiKind): GuardrailAction =>
    guardrails.pii[kind] ?? (DEFAULT_PII_KINDS.includes(kind) ? pii : 'allow');
  return {
    injection: {
      user: prompt_injection.user,
      tool: prompt_injection.tool_results,
      threshold: prompt_injection.threshold,
    },
    secrets,
    pii: new Map(
      PII_KINDS.flatMap((kind): [string, Action][] => {
        const action = actionOf(kind);
        return action === 'allow' ? [] : [[kind, action]];
      }),
    ),
  };
}

const STRICTNESS: readonly GuardrailAction[] = ['allow', 'flag', 'redact', 'refuse'];

/** The strictest of several actions. */
export const strictest = (actions: readonly GuardrailAction[]): GuardrailAction =>
  actions.reduce(
    (most, action) => (STRICTNESS.indexOf(action) > STRICTNESS.indexOf(most) ? action : most),
    'allow',
  );
