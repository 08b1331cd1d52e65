import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import type { UsageOutcome, UsageRecord } from '#app/schemas/usage.ts';
import { inSpan, NO_TRACE } from '#app/trace.ts';
import type { RequestMetrics } from '#observability/metrics.ts';
import { costOfUsage, type RequestState, type TurnMeter } from '#router/http/request-state.ts';
import type { TenantPrincipal } from '#router/identity/principal.ts';
import type { Budgets } from '#router/ledger/budgets.ts';
import { mostCostOf, type Price } from '#router/ledger/price.ts';
import type { PriceBook } from '#router/ledger/price-book.ts';
import type { UsageLedger } from '#router/ledger/usage-ledger.ts';
import { explainRequest } from '#router/request-log/explain-request.ts';
import type { RequestLog } from '#router/request-log/request-log.ts';

export interface Accounting {
  /**
   * Writes the request's ledger row and metrics, once: later calls wait for the first. Resolves when the row is
   * safe, so that an answer is not complete before it is counted. Never throws.
   */
  settle(state: RequestState, status: number): Promise<void>;
  /** What counts a turn of this caller while it runs. */
  meterOf(state: RequestState, principal: TenantPrincipal): TurnMeter;
}

/** Codes of errors by which a policy, and not a fault, said no. */
const REFUSALS: ReadonlySet<string> = new Set([
  'tenant_mismatch',
  'user_mismatch',
  'tenant_disabled',
  'missing_scope',
  'route_not_allowed',
  'model_not_allowed',
  'tool_blocked',
  'guardrail_refused',
  'rate_limit_exceeded',
  'budget_exceeded',
  'storage_exceeded',
] satisfies BulkheadError['code'][]);

/** Ends at which a model had been given its prompt, and was not let finish. */
const CUT_OFF: ReadonlySet<string> = new Set([
  'client_closed',
  'guardrail_refused',
] satisfies BulkheadError['code'][]);

/** Where the engine failed, or refused the prompt, nobody pays for it. */
const untoldTokensOf = ({ failure, usage }: RequestState): number =>
  failure === null || CUT_OFF.has(failure.code) ? usage.untoldTokens : 0;

/** Every authenticated request of a tenant is accounted for, whatever becomes of it. */
export function createAccounting(options: {
  ledger: UsageLedger;
  budgets: Budgets;
  prices: Pick<PriceBook, 'priceOf' | 'dearest'>;
  metrics: RequestMetrics;
  requestLog: RequestLog;
  now: () => number;
  monotonicNow: () => number;
}): Accounting {
  const { ledger, budgets, prices, metrics, requestLog, now, monotonicNow } = options;

  /** What turns that name no model were answered by last. */
  let defaultModel: string | null = null;
  /** What a turn holds is not less than it costs: where its model is not known, it is that of the dearest. */
  const expectedPrice = (model: string | null): Price => {
    const expected = model ?? defaultModel;
    return expected === null ? prices.dearest() : prices.priceOf(expected);
  };

  async function write(state: RequestState, status: number): Promise<void> {
    if (state.principal?.kind !== 'tenant') return;
    const { context } = state.principal;
    const { usage, failure } = state;
    const untoldTokens = untoldTokensOf(state);
    const costUsd = costOfUsage({ price: usage.price, tokens: usage.tokens, untoldTokens });
    const reserved = usage.explained.limits?.tokensReserved ?? 0;
    state.settleTokens(usage.tokens.total_tokens + Math.min(untoldTokens, reserved));
    const refusalReason =
      usage.refusalReason ?? (failure !== null && REFUSALS.has(failure.code) ? failure.code : null);
    const timestamp = new Date(now()).toISOString();
    const latency = Math.round((monotonicNow() - state.startedAt) * 1_000) / 1_000;
    const common = {
      request_id: state.requestId,
      tenant_id: context.tenantId,
      user_id: context.userId,
      route: usage.route,
      model: usage.model,
      status,
      latency_ms: latency,
      token_usage: usage.tokens,
      estimated_prompt_tokens: untoldTokens,
      cost_usd_estimate: costUsd,
      refusal_reason: refusalReason,
    };
    metrics.record({
      ...common,
      timestamp,
      chunk_ids: [...usage.chunkIds],
      citations: [...usage.citedChunkIds],
      ...answerTimes(usage),
      ...(state.begun?.trace.traceId ? { trace_id: state.begun.trace.traceId } : {}),
    });
    const outcome = outcomeOf(status, failure);
    requestLog.record(explainRequest(state, state.principal, { ...common, outcome }));
    budgets.settle(context.tenantId, state.requestId, costUsd);
    await ledger.record({
      ...common,
      price_version: usage.price?.version ?? null,
      retrieval: retrievalOf(usage),
      key_id: context.keyId,
      outcome,
      created_at: timestamp,
    });
  }

  return {
    meterOf({ requestId: request_id, usage }, { context, policy }) {
      let isNamed = true;
      return {
        async begin() {
          isNamed = usage.model !== null;
          const budgetUsd = policy.config.budget_usd_per_month;
          await budgets.admit({
            tenantId: context.tenantId,
            requestId: request_id,
            budgetUsd,
            estimateUsd:
              budgetUsd === null ? 0 : mostCostOf(expectedPrice(usage.model), usage.estimatedTokens),
          });
          await ledger.begin({
            request_id,
            tenant_id: context.tenantId,
            user_id: context.userId,
            key_id: context.keyId,
            route: usage.route,
            model: usage.model,
            at: new Date(now()).toISOString(),
          });
        },
        advance() {
          const { route, model, tokens, untoldTokens, price } = usage;
          if (!isNamed) defaultModel = model;
          const { prompt_tokens, completion_tokens } = tokens;
          ledger.progress({
            request_id,
            route,
            model,
            prompt_tokens,
            completion_tokens,
            estimated_prompt_tokens: untoldTokens,
            cost_usd_estimate: costOfUsage(usage),
            price_version: price?.version ?? null,
          });
        },
      };
    },
    settle(state, status) {
      state.settlement ??= inSpan(state.begun?.trace ?? NO_TRACE, 'settle', () => write(state, status));
      return state.settlement;
    },
  };
}

/** Times of an answer that an engine gave: to its first token, and for each token after it. */
function answerTimes({ explained, tokens }: RequestState['usage']) {
  const { firstTokenMs, generateMs } = explained;
  const later = tokens.completion_tokens - 1;
  const isTimed = firstTokenMs !== null && generateMs !== null && later > 0;
  return {
    time_to_first_token_ms: firstTokenMs,
    time_per_output_token_ms: isTimed ? Math.max(0, generateMs - firstTokenMs) / later : null,
  };
}

function retrievalOf({ explained }: RequestState['usage']): UsageRecord['retrieval'] {
  const { retrieved, retrieveMs } = explained;
  if (retrieved === null || retrieveMs === null) return null;
  return { chunks: retrieved.length, latency_ms: Math.round(retrieveMs * 1_000) / 1_000 };
}

function outcomeOf(status: number, failure: BulkheadError | null): UsageOutcome {
  if (status === 499) return 'aborted';
  if (failure !== null && REFUSALS.has(failure.code)) return 'refused';
  return status >= 400 || failure !== null ? 'error' : 'ok';
}
