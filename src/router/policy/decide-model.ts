import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import type { Refusal } from '#router/policy/refusal.ts';

/** May the tenant use this engine model? */
export function decideModel(policy: CompiledPolicy, model: string): Refusal | null {
  if (policy.models === null || policy.models.has(model)) return null;
  return {
    code: 'model_not_allowed',
    policy: 'models',
    message: 'The tenant’s policy does not allow this model.',
    param: 'model',
  };
}

/** May this credential use the model, by its name in `GET /v1/models`? */
export function decideKeyModel(models: readonly string[] | null, model: string): Refusal | null {
  if (models === null || models.includes(model)) return null;
  return {
    code: 'model_not_allowed',
    policy: 'key.models',
    message: 'The API key does not allow this model.',
    param: 'model',
  };
}
