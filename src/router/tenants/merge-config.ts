import type { TenantConfig, TenantConfigPatch } from '#app/schemas/tenant-config.ts';

/** The config with the patch applied: objects are merged, lists and `guardrails.pii` are replaced. */
export function mergeConfig(config: TenantConfig, patch: TenantConfigPatch): TenantConfig {
  const { identity, rate_limits, storage, rag, request_log, responses, guardrails = {}, ...rest } = patch;
  const { prompt_injection, secrets, pii, judges } = guardrails;
  return {
    ...config,
    ...withoutUndefined(rest),
    identity: { ...config.identity, ...withoutUndefined(identity ?? {}) },
    rate_limits: { ...config.rate_limits, ...withoutUndefined(rate_limits ?? {}) },
    storage: { ...config.storage, ...withoutUndefined(storage ?? {}) },
    rag: { ...config.rag, ...withoutUndefined(rag ?? {}) },
    request_log: { ...config.request_log, ...withoutUndefined(request_log ?? {}) },
    responses: { ...config.responses, ...withoutUndefined(responses ?? {}) },
    guardrails: {
      prompt_injection: {
        ...config.guardrails.prompt_injection,
        ...withoutUndefined(prompt_injection ?? {}),
      },
      secrets: { ...config.guardrails.secrets, ...withoutUndefined(secrets ?? {}) },
      pii: pii ?? config.guardrails.pii,
      judges: judges ?? config.guardrails.judges,
    },
  };
}

/** A parsed patch has only own, known keys: the assertions below say no more than that. */
type Defined<Value> = { [Key in keyof Value]?: Exclude<Value[Key], undefined> };

function withoutUndefined<Value extends object>(value: Value): Defined<Value> {
  const defined: Defined<Value> = {};
  for (const key of Object.keys(value) as (keyof Value)[]) {
    const item = value[key];
    if (item !== undefined) defined[key] = item as Exclude<Value[keyof Value], undefined>;
  }
  return defined;
}
