import type { AllowedRoute } from '#app/schemas/tenant-config.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import type { Refusal } from '#router/policy/refusal.ts';

/** May the tenant use this route at all? */
export function decideRoute(policy: CompiledPolicy, route: AllowedRoute): Refusal | null {
  if (policy.allowedRoutes.has(route)) return null;
  return {
    code: 'route_not_allowed',
    policy: 'allowed_routes',
    message: `The tenant’s policy does not allow the route ${route}.`,
  };
}
