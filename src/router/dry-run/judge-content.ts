import { isDeepStrictEqual } from 'node:util';
import { inSlices } from '#app/in-slices.ts';
import type { RequestBodies } from '#app/schemas/request-log.ts';
import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import { contentSteps } from '#router/policy/decide-content.ts';

/** The rule of the draft that refuses a request, null where it passes; or the rule for which too little is kept. */
export type Judgement = Readonly<{ refusedBy: string | null } | { undecidable: string }>;

const PASSES: Judgement = { refusedBy: null };
const UNDECIDABLE: Judgement = { undecidable: 'content' };
/** What the log put in the place of a text: no rule is to match it. */
const REDACTED = /\[REDACTED:[^\]]{0,200}\]/g;

/** Fields of a config that a text is put to, and that are replayed. */
const REPLAYED: readonly (keyof TenantConfig)[] = ['sensitive_patterns', 'refusal_rules'];
/** The others. */
const NOT_REPLAYED: readonly (keyof TenantConfig)[] = ['pii', 'guardrails'];

/** What the draft's rules on texts say of a request. `recorded` is the config it was decided by, where that is known. */
export async function judgeContent(
  draft: CompiledPolicy,
  recorded: TenantConfig | null,
  request: {
    refusedBy: string | null;
    bodies: RequestBodies | null;
    /** Whether patterns and rules apply: to searches, only the built-in detectors do. */
    hasRules: boolean;
  },
): Promise<Judgement> {
  const differs = (fields: readonly (keyof TenantConfig)[]) =>
    recorded === null || fields.some((field) => !isDeepStrictEqual(draft.config[field], recorded[field]));
  const { refusedBy, bodies } = request;
  if ((!request.hasRules || !differs(REPLAYED)) && !differs(NOT_REPLAYED)) return { refusedBy };
  if (request.hasRules && bodies !== null) {
    for (const { param, text } of bodies.texts) {
      const steps = contentSteps(draft, { param, text: text.replace(REDACTED, ' ') });
      const { refusal } = await inSlices(steps, { tenantId: draft.config.tenant_id });
      if (refusal !== null) return { refusedBy: refusal.policy };
    }
  }
  if (differs(NOT_REPLAYED)) return UNDECIDABLE;
  // A built-in detector refused it, and still does.
  if (refusedBy !== null && !/^(?:sensitive_patterns|refusal_rules)\./.test(refusedBy)) return { refusedBy };
  if (bodies?.complete === true) return PASSES;
  if (hasNoRules(draft.config)) return PASSES;
  // What passed stricter rules passes these.
  if (refusedBy === null && recorded !== null && isNoStricter(draft.config, recorded)) return PASSES;
  return UNDECIDABLE;
}

const refusing = ({ sensitive_patterns }: TenantConfig) =>
  sensitive_patterns.filter(({ action, applies_to }) => action === 'refuse' && applies_to !== 'output');

const hasNoRules = (config: TenantConfig) =>
  refusing(config).length === 0 && config.refusal_rules.length === 0;

function isNoStricter(draft: TenantConfig, recorded: TenantConfig): boolean {
  const known = refusing(recorded);
  const phrases = new Set(recorded.refusal_rules.flatMap((rule) => rule.phrases));
  return (
    refusing(draft).every(({ pattern, case_sensitive }) =>
      known.some((other) => other.pattern === pattern && (case_sensitive || !other.case_sensitive)),
    ) && draft.refusal_rules.every((rule) => rule.phrases.every((phrase) => phrases.has(phrase)))
  );
}
