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
