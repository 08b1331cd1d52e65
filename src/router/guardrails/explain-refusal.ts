import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { GuardrailReason } from '#router/guardrails/inspect-text.ts';
import { refusalError } from '#router/policy/refusal.ts';

type Cause = Pick<GuardrailReason, 'detector' | 'kind'>;

/** Names what was found and by what, and never the text. */
export function guardrailRefusal({ detector, kind }: Cause, param?: string): BulkheadError {
  return refusalError({
    code: 'guardrail_refused',
    ...EXPLANATIONS[detector](kind),
    ...(param === undefined ? {} : { param }),
  });
}

/** A guardrail that fails denies: what was not looked at goes nowhere. */
export const guardrailFailure = (param?: string): BulkheadError =>
  refusalError({
    code: 'guardrail_refused',
    policy: 'guardrails',
    message: 'A guardrail could not look at the content, so it is refused.',
    ...(param === undefined ? {} : { param }),
  });

const EXPLANATIONS: Readonly<
  Record<Cause['detector'], (kind: string) => { policy: string; message: string }>
> = {
  prompt_injection: () => ({
    policy: 'guardrails.prompt_injection',
    message:
      'The content looks like an attempt to override the model’s instructions (detector prompt_injection).',
  }),
  secrets: (kind) => ({
    policy: 'guardrails.secrets',
    message: `The content holds a secret (detector secrets, ${kind}).`,
  }),
  pii: (kind) => ({
    policy: `guardrails.pii.${kind}`,
    message: `The content holds personal data (detector pii, ${kind}).`,
  }),
  sensitive_pattern: (name) => ({
    policy: 'sensitive_patterns',
    message: `The content matches the tenant’s sensitive pattern “${name}”.`,
  }),
};
