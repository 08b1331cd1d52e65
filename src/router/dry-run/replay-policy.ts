import { isDeepStrictEqual } from 'node:util';
import { timeOfId } from '#app/ids.ts';
import type { DryRunChange } from '#app/schemas/policy-dry-run.ts';
import type { RequestLogDetail } from '#app/schemas/request-log.ts';
import { allowedRouteSchema, type TenantConfig } from '#app/schemas/tenant-config.ts';
import { type Judgement, judgeContent } from '#router/dry-run/judge-content.ts';
import { createLimitReplay, type LimitReplay } from '#router/dry-run/replay-limits.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import { decideModel } from '#router/policy/decide-model.ts';
import { decideRoute } from '#router/policy/decide-route.ts';
import { decideTools } from '#router/policy/decide-tools.ts';

/** Refusals by a rule of the tenant's config; all others stand whatever the draft says. */
const BY_CONFIG: ReadonlySet<string> = new Set([
  'route_not_allowed',
  'model_not_allowed',
  'tool_blocked',
  'guardrail_refused',
  'rate_limit_exceeded',
]);
/** Turns, whose route is put to `allowed_routes` once their body is read. */
const TURNS: ReadonlySet<string> = new Set(['rag', 'chat', 'direct']);

export type Change = Readonly<{ requestId: string; change: DryRunChange; rule: string }>;

/** Replays requests one after another, oldest first. Pure: it holds its own counters. */
export function createPolicyReplay(options: {
  draft: CompiledPolicy;
  /** The config of a version, as far as it is known. */
  configOf: (version: number) => Promise<TenantConfig | null>;
}): {
  /** null where it would go as it went. */
  judge(request: RequestLogDetail): Promise<Change | null>;
} {
  const { draft, configOf } = options;
  const limits = createLimitReplay(draft.config.rate_limits);

  /** What the draft says, by the order in which the router decides. */
  async function decide(request: RequestLogDetail): Promise<Judgement> {
    const { decision, route } = request;
    const recorded = await configOf(decision.policy.config_version);
    const refusedBy = request.outcome === 'refused' ? (decision.policy.rule ?? request.refusal_reason) : null;
    if (!draft.config.enabled) return { refusedBy: 'enabled' };
    const code = decision.error_code;
    const isBadRequest = decision.limits === null && code !== null && !BY_CONFIG.has(code);
    // The shape of its body, or the credential's scopes: no matter of the config.
    if (isBadRequest) return { refusedBy };
    const isTurn = TURNS.has(route);
    const routeRule = isTurn ? null : routeRefusal(draft, route);
    if (routeRule !== null) return { refusedBy: routeRule };
    const limitRule = await replayLimit(limits, request, recorded, draft.config);
    if (limitRule !== null) return { refusedBy: limitRule };
    // By the credential's own limits, or by nothing that a config says.
    const isByConfig =
      code !== null && BY_CONFIG.has(code) && decision.policy.rule?.startsWith('key.') !== true;
    if (refusedBy !== null && !isByConfig) return { refusedBy };
    // Nothing further is known of what was stopped by a limit.
    if (code === 'rate_limit_exceeded') return { refusedBy: null };
    const turnRule = isTurn ? routeRefusal(draft, route) : null;
    if (turnRule !== null) return { refusedBy: turnRule };
    const { model, tools, tools_complete: complete } = decision.policy;
    if (model !== null && decideModel(draft, model) !== null) return { refusedBy: 'models' };
    const named = tools.map((name) => ({ name, param: 'tools' }));
    if (decideTools(draft, named) !== null) return { refusedBy: 'blocked_tools' };
    if (!complete && !isDeepStrictEqual(draft.config.blocked_tools, recorded?.blocked_tools)) {
      return { undecidable: 'blocked_tools' };
    }
    // Only turns, embeddings and searches carry texts to be judged; the others kept none and pass.
    if (!isTurn && route !== 'embeddings' && route !== 'search') return { refusedBy: null };
    const byContent = code === 'guardrail_refused' ? refusedBy : null;
    const wasSeen = code === null || !BY_CONFIG.has(code) || code === 'guardrail_refused';
    return await judgeContent(draft, wasSeen ? recorded : null, {
      refusedBy: byContent,
      bodies: request.bodies,
      hasRules: route !== 'search',
    });
  }

  return {
    async judge(request) {
      const judgement = await decide(request);
      const { request_id: requestId, decision } = request;
      const wasRefused = request.outcome === 'refused';
      if ('undecidable' in judgement)
        return { requestId, change: 'undecidable', rule: judgement.undecidable };
      if ((judgement.refusedBy !== null) === wasRefused) return null;
      return judgement.refusedBy === null
        ? {
            requestId,
            change: 'newly_allowed',
            rule: decision.policy.rule ?? request.refusal_reason ?? 'unknown',
          }
        : { requestId, change: 'newly_refused', rule: judgement.refusedBy };
    },
  };
}

function routeRefusal(draft: CompiledPolicy, route: string): string | null {
  const known = allowedRouteSchema.safeParse(route === 'embeddings' ? 'direct' : route);
  return known.success ? (decideRoute(draft, known.data)?.policy ?? null) : null;
}

/**
 * Every request is counted, so that later ones find the windows as full as they would be. Where the draft leaves the
 * limits as they were, what was decided stands: it knew of all routers' requests, and the log may lack some.
 */
async function replayLimit(
  limits: LimitReplay,
  request: RequestLogDetail,
  recorded: TenantConfig | null,
  draft: TenantConfig,
): Promise<string | null> {
  const { decision } = request;
  const replayed = await limits.admit({
    tenantId: request.tenant_id,
    userId: request.user_id,
    startedAt: timeOfId(request.request_id),
    tookMs: request.latency_ms,
    tokensReserved: decision.limits?.tokens_reserved ?? 0,
    tokensUsed: decision.token_usage.total_tokens + decision.estimated_prompt_tokens,
  });
  if (decision.limits === null || !isDeepStrictEqual(recorded?.rate_limits, draft.rate_limits))
    return replayed;
  return decision.limits.admitted ? null : (decision.policy.rule ?? 'rate_limits');
}
