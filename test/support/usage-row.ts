import { newRequestId } from '#app/ids.ts';
import type { UsageRecord } from '#app/schemas/usage.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { BegunTurn } from '#router/ledger/log/log-line.ts';

/** A ledger row of 10 and 5 tokens. */
export function usageRow(context: TenantContext, fields: Partial<UsageRecord> = {}): UsageRecord {
  return {
    request_id: newRequestId(),
    tenant_id: context.tenantId,
    user_id: context.userId,
    key_id: null,
    route: 'rag',
    model: 'extractive',
    token_usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    estimated_prompt_tokens: 0,
    cost_usd_estimate: 0.000000123,
    price_version: null,
    retrieval: null,
    latency_ms: 12.5,
    status: 200,
    outcome: 'ok',
    refusal_reason: null,
    created_at: new Date().toISOString(),
    ...fields,
  };
}

/** The beginning of a turn on the direct route. */
export function begunTurn(context: TenantContext, fields: Partial<BegunTurn> = {}): BegunTurn {
  return {
    request_id: newRequestId(),
    tenant_id: context.tenantId,
    user_id: context.userId,
    key_id: null,
    route: 'direct',
    model: 'm',
    at: new Date().toISOString(),
    ...fields,
  };
}
