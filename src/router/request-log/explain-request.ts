import type { RequestDecision, RequestLogEntry } from '#app/schemas/request-log.ts';
import type { RequestState } from '#router/http/request-state.ts';
import type { TenantPrincipal } from '#router/identity/principal.ts';
import { plainParam } from '#router/request-log/plain-param.ts';
import type { RequestRow } from '#router/request-log/request-log.ts';

/** More tools than this are not all named. */
const MAX_TOOLS = 100;
const MAX_TOOL_CHARACTERS = 200;
const MAX_CHUNKS = 100;

/** What accounting has worked out anyway. */
export type RequestResult = Pick<
  RequestLogEntry,
  | 'request_id'
  | 'tenant_id'
  | 'user_id'
  | 'route'
  | 'model'
  | 'status'
  | 'outcome'
  | 'refusal_reason'
  | 'latency_ms'
> &
  Pick<RequestDecision, 'estimated_prompt_tokens'>;

const rounded = (milliseconds: number) => Math.round(milliseconds * 1_000) / 1_000;
const roundedOrNull = (milliseconds: number | null) => (milliseconds === null ? null : rounded(milliseconds));

/** The row of a request that has ended. */
export function explainRequest(
  state: RequestState,
  principal: TenantPrincipal,
  result: RequestResult,
): RequestRow {
  const { request_id, tenant_id, user_id, route, model, status, outcome, refusal_reason, latency_ms } =
    result;
  const { texts, answer } = state.usage.explained;
  return {
    request_id,
    tenant_id,
    user_id,
    route,
    model,
    status,
    outcome,
    refusal_reason,
    latency_ms,
    decision: decisionOf(state, principal, result),
    kept: texts === null ? null : { texts, answer, policy: principal.policy },
  };
}

/** What decided it, in terms that can be looked up. */
function decisionOf(
  state: RequestState,
  { context, policy, issuer }: TenantPrincipal,
  result: RequestResult,
): RequestDecision {
  const { usage, failure } = state;
  const { explained } = usage;
  const tools = explained.tools.slice(0, MAX_TOOLS);
  return {
    method: explained.method,
    path: explained.path,
    auth: {
      method: context.keyId !== null ? 'api_key' : issuer !== null ? 'jwt' : 'header',
      key_id: context.keyId,
      issuer,
      role: context.role,
    },
    policy: {
      config_version: policy.version,
      verdict: result.outcome === 'refused' ? 'refused' : 'allowed',
      rule: failure?.refusal?.policy ?? null,
      param: failure?.param === undefined ? null : plainParam(failure.param),
      flags: [...explained.flags],
      model: explained.requestedModel,
      tools: tools.map((name) => name.slice(0, MAX_TOOL_CHARACTERS)),
      tools_complete:
        explained.tools.length <= MAX_TOOLS && tools.every(({ length }) => length <= MAX_TOOL_CHARACTERS),
    },
    limits: limitsOf(explained.limits),
    retrieval:
      explained.retrieved === null
        ? null
        : {
            chunks: explained.retrieved.slice(0, MAX_CHUNKS).map((chunk) => ({ ...chunk })),
            latency_ms: roundedOrNull(explained.retrieveMs),
          },
    engine:
      explained.engine === null
        ? null
        : {
            name: explained.engine,
            model: usage.model,
            attempts: explained.attempts,
            first_token_ms: roundedOrNull(explained.firstTokenMs),
            finish_reason: explained.finishReason,
          },
    token_usage: usage.tokens,
    estimated_prompt_tokens: result.estimated_prompt_tokens,
    timings: {
      auth_ms: roundedOrNull(explained.authMs),
      limits_ms: roundedOrNull(explained.limits?.tookMs ?? null),
      policy_ms: roundedOrNull(explained.policyMs),
      retrieve_ms: roundedOrNull(explained.retrieveMs),
      generate_ms: roundedOrNull(explained.generateMs),
      total_ms: result.latency_ms,
    },
    trace: traceOf(state.begun),
    error_code: failure?.code ?? null,
  };
}

function traceOf(begun: RequestState['begun']): RequestDecision['trace'] {
  const traceId = begun?.trace.traceId ?? null;
  return begun === null || traceId === null ? null : { trace_id: traceId, timeline: begun.timeline() };
}

function limitsOf(limits: RequestState['usage']['explained']['limits']): RequestDecision['limits'] {
  if (limits === null) return null;
  const { decision, tokensReserved } = limits;
  if (!decision.admitted) {
    const { scope, name, limit, current } = decision;
    const remaining = Math.max(0, limit - current);
    return { admitted: false, scope, name, limit, current, remaining, tokens_reserved: tokensReserved };
  }
  const { state } = decision;
  return {
    admitted: true,
    scope: null,
    name: null,
    limit: state?.limit ?? null,
    current: state === null ? null : state.limit - state.remaining,
    remaining: state?.remaining ?? null,
    tokens_reserved: tokensReserved,
  };
}
