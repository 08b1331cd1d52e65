import type { FastifyReply, FastifyRequest } from 'fastify';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { AllowedRoute } from '#app/schemas/tenant-config.ts';
import type { Scope } from '#app/tenant-context.ts';
import { inSpan, NO_TRACE } from '#app/trace.ts';
import { PendingBodies } from '#router/http/pending-bodies.ts';
import { type RequestState, stateOf } from '#router/http/request-state.ts';
import { stripIdentityHeaders } from '#router/http/strip-internal-headers.ts';
import { addIdempotency } from '#router/idempotency/add-idempotency.ts';
import {
  type EstimatedRequest,
  estimatePromptTokens,
  estimateTextTokens,
  estimateTurnTokens,
} from '#router/limits/estimate-tokens.ts';
import { limitHeaders } from '#router/limits/limit-headers.ts';
import { limitRefusal } from '#router/limits/limit-refusal.ts';
import { decideRoute } from '#router/policy/decide-route.ts';
import { refusalError } from '#router/policy/refusal.ts';
import type { Endpoint, RouterApp, RouterServices } from '#router/router-services.ts';

/** What a caller from a tenant needs. */
export type TenantPermission = Readonly<{
  /** A scope of the credential; null: every credential of the tenant will do. */
  scope: Scope | null;
  /** An entry of the tenant's `allowed_routes`; null: decided later, or not a matter of policy. */
  policy: AllowedRoute | null;
  /** The route's name in usage and metrics. */
  countedAs: string;
}>;

export type Permissions = Readonly<{
  /** Nobody is asked who they are. */
  anyone(...endpoints: Endpoint[]): void;
  /** Users of a tenant, with this permission. */
  tenant(permission: TenantPermission, ...endpoints: Endpoint[]): void;
  /** Operators for all tenants, and admins for their own. */
  admin(...endpoints: Endpoint[]): void;
  /** Operators alone. */
  operator(...endpoints: Endpoint[]): void;
}>;

/**
 * Puts endpoints behind what they need. The order of checks is the same for all: credential, then permission, both
 * before a byte of the body is read; then the body's shape, then limits, then the handler.
 */
export function createPermissions(app: RouterApp, services: RouterServices): Permissions {
  const bodies = new PendingBodies({ maxBodyBytes: app.initialConfig.bodyLimit ?? 0 });
  const behind = (
    endpoints: readonly Endpoint[],
    guard: ((request: FastifyRequest, state: RequestState) => void) | null,
    countedAs: string,
  ) =>
    app.register(async (scoped: RouterApp) => {
      if (guard !== null) {
        scoped.addHook('onRoute', (route) => {
          route.config = { ...route.config, countedAs };
        });
        scoped.addHook('onRequest', async (request) => {
          const state = stateOf(request);
          state.usage.route = countedAs;
          const start = services.monotonicNow();
          const trace = state.begun?.trace ?? NO_TRACE;
          state.principal = await inSpan(trace, 'authenticate', () =>
            services.authenticator.authenticate({
              headers: request.headers,
              rawHeaders: request.raw.rawHeaders,
              requestId: state.requestId,
              socketAddress: request.socket.remoteAddress,
              trace,
            }),
          );
          stripIdentityHeaders(request.headers);
          state.usage.explained.authMs = services.monotonicNow() - start;
          if (state.principal.kind === 'tenant') {
            state.usage.meter = services.accounting.meterOf(state, state.principal);
          }
          guard(request, state);
          if (state.principal.kind === 'tenant') {
            const { tenantId } = state.principal.context;
            services.refusedBodies.check(tenantId, bodies.announced(request.raw));
            bodies.enter(tenantId, request.raw);
          }
        });
        scoped.addHook('preHandler', (request, reply) => limit(request, reply, services, countedAs));
        if (countedAs === 'admin') addIdempotency(scoped, services);
      }
      for (const endpoint of endpoints) endpoint(scoped, services);
    });

  return {
    anyone(...endpoints) {
      behind(endpoints, null, 'public');
    },
    tenant({ scope, policy, countedAs }, ...endpoints) {
      const guard = (_request: FastifyRequest, { principal }: RequestState) => {
        if (principal?.kind !== 'tenant') {
          throw missingScope('An operator belongs to no tenant. Use a key of the tenant here.');
        }
        if (scope !== null && !principal.context.scopes.includes(scope)) {
          throw missingScope(`The credential lacks the scope ${scope}.`);
        }
        if (policy === null) return;
        const refusal = decideRoute(principal.policy, policy);
        if (refusal !== null) throw refusalError(refusal);
      };
      behind([agreeOnTenant, ...endpoints], guard, countedAs);
    },
    admin(...endpoints) {
      const guard = (_request: FastifyRequest, { principal }: RequestState) => {
        if (principal?.kind === 'operator' || principal?.context.scopes.includes('tenant:admin')) return;
        throw missingScope('The credential lacks the scope tenant:admin.');
      };
      behind(endpoints, guard, 'admin');
    },
    operator(...endpoints) {
      const guard = (_request: FastifyRequest, { principal }: RequestState) => {
        if (principal?.kind !== 'operator') throw missingScope('Only an operator may do this.');
      };
      behind(endpoints, guard, 'admin');
    },
  };
}

const missingScope = (message: string) =>
  new BulkheadError('missing_scope', message, { refusal: { policy: 'scopes' } });

/** Routes that use a model, by the name that they are counted as, and what each holds before it runs. */
const TOKEN_ESTIMATES: ReadonlyMap<string, (request: EstimatedRequest) => number> = new Map([
  ['chat', estimateTurnTokens],
  ['embeddings', estimateTextTokens],
]);

/** Every authenticated request of a tenant counts as one. Operators are not limited. */
async function limit(
  request: FastifyRequest,
  reply: FastifyReply,
  services: RouterServices,
  countedAs: string,
): Promise<void> {
  const state = stateOf(request);
  if (state.principal?.kind !== 'tenant') return;
  const { context, policy } = state.principal;
  const plan = context.keyId === null ? policy.limits.withoutKey : policy.limits.withKey;
  const { scopes, tokenLimit } = plan;
  const estimate = TOKEN_ESTIMATES.get(countedAs);
  let estimated = 0;
  let tokens = 0;
  if (estimate !== undefined) {
    const { body } = request;
    const referred = await referredBytes(request, services);
    const surface = request.routeOptions.url ?? '';
    const model: unknown = typeof body === 'object' && body !== null ? Reflect.get(body, 'model') : undefined;
    const answerTokens = services.answerTokens(surface, model);
    const asked = { surface, body, bodyBytes: bytesOf(request) + referred, answerTokens };
    // What is held is what may be written, where anything counts it.
    if (tokenLimit !== null || policy.config.budget_usd_per_month !== null)
      state.usage.answerLimit = answerTokens;
    estimated = estimate(asked);
    tokens = tokenLimit === null ? 0 : Math.min(estimated, tokenLimit);
    state.usage.promptTokens = estimatePromptTokens(asked);
  }
  state.usage.estimatedTokens = estimated;
  const start = services.monotonicNow();
  const decision = await inSpan(context.trace, 'limits', () =>
    services.limiter.admit(context, scopes, tokens),
  );
  const tookMs = services.monotonicNow() - start;
  state.usage.explained.limits = { decision, tokensReserved: tokens, tookMs };
  reply.headers(limitHeaders(decision, plan, context));
  if (!decision.admitted) throw limitRefusal(decision, services.now());
  if (state.unadmittedBytes > 0) {
    services.refusedBodies.takeBack(context.tenantId, state.unadmittedBytes);
    state.unadmittedBytes = 0;
  }
  state.settleTokens = decision.settle;
  state.release = decision.release;
  // It may have left while the limiter decided: it is accounted for by now, so nobody else gives back the place and
  // the unused tokens, and no turn may begin that no row would count.
  if (state.signal.aborted) {
    decision.settle(0);
    decision.release();
    throw state.failure ?? new BulkheadError('client_closed', 'The client left.');
  }
}

/** Of kept responses that the body refers to: a short one may have a long prompt. */
async function referredBytes(
  request: FastifyRequest,
  { responseHistory }: Pick<RouterServices, 'responseHistory'>,
): Promise<number> {
  const { principal } = stateOf(request);
  if (principal?.kind !== 'tenant' || request.routeOptions.url !== '/v1/responses') return 0;
  return responseHistory.bytesOf(principal.context, principal.policy.config, request.body);
}

/** A body that comes in chunks says no length: then what it holds is measured, so that it cannot hide its size. */
const bytesOf = (request: FastifyRequest): number =>
  Number(request.headers['content-length'] ?? JSON.stringify(request.body)?.length ?? 0);

/** A tenant or user that a body names, known field or not, must be the credential's. */
const agreeOnTenant: Endpoint = (app) => {
  app.addHook('preHandler', (request, _reply, done) => {
    const { principal } = stateOf(request);
    const { body } = request;
    if (principal?.kind !== 'tenant' || typeof body !== 'object' || body === null) {
      done();
      return;
    }
    const { tenantId, userId } = principal.context;
    const mismatch =
      mismatchOf('tenant_id', Reflect.get(body, 'tenant_id'), tenantId) ??
      mismatchOf('user_id', Reflect.get(body, 'user_id'), userId);
    done(mismatch ?? undefined);
  });
};

/** Throws `tenant_mismatch` or `user_mismatch` where something is claimed and it is not the credential's. */
export function refuseMismatch(param: 'tenant_id' | 'user_id', claimed: unknown, actual: string): void {
  const mismatch = mismatchOf(param, claimed, actual);
  if (mismatch !== null) throw mismatch;
}

function mismatchOf(param: 'tenant_id' | 'user_id', claimed: unknown, actual: string): BulkheadError | null {
  if (claimed === undefined || claimed === null || claimed === actual) return null;
  const what = param === 'tenant_id' ? 'tenant' : 'user';
  return new BulkheadError(`${what}_mismatch`, `The ${param} is not the credential’s ${what}.`, {
    param,
    refusal: { policy: `credential.${what}` },
  });
}
