import type { Database, Row, Transaction } from '#app/database/database.ts';
import type { TenantId } from '#app/ids.ts';
import { type PageRequest, toPage } from '#app/schemas/page.ts';
import {
  type TenantUsage,
  type UsageRecord,
  type UsageReport,
  type UsageTotals,
  usageRecordSchema,
} from '#app/schemas/usage.ts';
import type { TenantContext } from '#app/tenant-context.ts';

export type UsageFilter = Readonly<{
  /** Rows at or after, and before, these times. */
  from: Date | null;
  to: Date | null;
  route: string | null;
  user: string | null;
}>;

/** What the ledger says, to those who may ask. Row-level security decides what a caller's query can see. */
export interface UsageStore {
  /** The caller's own requests. */
  ofUser(context: TenantContext, filter: UsageFilter, page: PageRequest): Promise<UsageReport>;
  /** All requests of one tenant, for operators and for that tenant's admins. */
  ofTenant(tenantId: TenantId, filter: UsageFilter, page: PageRequest): Promise<UsageReport>;
  /** Totals by tenant; of one tenant where it is named. */
  byTenant(tenantId: TenantId | null, filter: UsageFilter, page: PageRequest): Promise<TenantUsage>;
}

const ROWS = `($1::text IS NULL OR tenant_id = $1) AND ($2::timestamptz IS NULL OR created_at >= $2)
  AND ($3::timestamptz IS NULL OR created_at < $3) AND ($4::text IS NULL OR route = $4)
  AND ($5::text IS NULL OR user_id = $5)`;

/** The sums of whole hours, and rows of the hours that a range begins or ends in. */
const PARTS = `
  SELECT tenant_id, route, requests, refused, errors, aborted, prompt_tokens, completion_tokens,
         estimated_prompt_tokens, cost_usd
    FROM bulkhead.usage_hours
   WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR route = $2)
     AND ($3::text IS NULL OR user_id = $3) AND ($4::timestamptz IS NULL OR hour >= $4)
     AND ($5::timestamptz IS NULL OR hour < $5)
  UNION ALL
  SELECT tenant_id, route, 1, (outcome = 'refused')::integer, (outcome = 'error')::integer,
         (outcome = 'aborted')::integer, prompt_tokens, completion_tokens, estimated_prompt_tokens, cost_usd
    FROM bulkhead.usage_records
   WHERE ($1::text IS NULL OR tenant_id = $1) AND ($2::text IS NULL OR route = $2)
     AND ($3::text IS NULL OR user_id = $3)
     AND ((created_at >= $6 AND created_at < $7) OR (created_at >= $8 AND created_at < $9))`;

const TOTALS = `sum(requests)::bigint AS requests, sum(refused)::bigint AS refused, sum(errors)::bigint AS errors,
  sum(aborted)::bigint AS aborted, sum(prompt_tokens)::bigint AS prompt_tokens,
  sum(completion_tokens)::bigint AS completion_tokens,
  sum(estimated_prompt_tokens)::bigint AS estimated_prompt_tokens, sum(cost_usd)::double precision AS cost_usd`;

const HOUR_MS = 3_600_000;

/** Parameters of {@link PARTS}. */
function partsOf(tenantId: TenantId | null, { from, to, route, user }: UsageFilter): unknown[] {
  const firstHour = from === null ? null : new Date(Math.ceil(from.getTime() / HOUR_MS) * HOUR_MS);
  const lastHour = to === null ? null : new Date(Math.floor(to.getTime() / HOUR_MS) * HOUR_MS);
  const common = [tenantId, route, user];
  // Within one hour there is no whole one: an empty range of hours, and rows alone.
  if (from !== null && to !== null && firstHour !== null && lastHour !== null && firstHour >= lastHour) {
    return firstHour > lastHour
      ? [...common, from, from, from, to, null, null]
      : [...common, from, from, from, firstHour, lastHour, to];
  }
  return [...common, firstHour, lastHour, from, firstHour, lastHour, to];
}

export function createUsageStore(options: {
  database: Database;
  /** Brings what this process has recorded into the database, so that callers find their own requests. */
  flush?: () => Promise<void>;
}): UsageStore {
  const { database, flush = async () => {} } = options;
  const parametersOf = (tenantId: TenantId | null, { from, to, route, user }: UsageFilter) => [
    tenantId,
    from,
    to,
    route,
    user,
  ];

  async function report(
    transaction: Transaction,
    tenantId: TenantId | null,
    filter: UsageFilter,
    { limit, after }: PageRequest,
  ): Promise<UsageReport> {
    const parameters = parametersOf(tenantId, filter);
    const rows = await transaction.query(
      `SELECT request_id, tenant_id, user_id, key_id, route, model, prompt_tokens, completion_tokens,
              estimated_prompt_tokens::float8 AS estimated_prompt_tokens, cost_usd::double precision AS cost_usd, price_version::float8 AS price_version, retrieval_chunks, retrieval_ms,
              latency_ms, status, outcome, refusal_reason, created_at
         FROM bulkhead.usage_records
        WHERE ${ROWS} AND ($6::text IS NULL OR request_id < $6) ORDER BY request_id DESC LIMIT $7`,
      [...parameters, after ?? null, limit + 1],
    );
    const byRoute = await transaction.query(
      `SELECT route, ${TOTALS} FROM (${PARTS}) AS parts GROUP BY route ORDER BY route`,
      partsOf(tenantId, filter),
    );
    const routes = byRoute.map((row) => ({ route: String(row.route), ...toTotals(row) }));
    return {
      ...toPage(rows.map(toRecord), limit, ({ request_id }) => request_id),
      totals: routes.reduce(addTotals, toTotals({})),
      by_route: routes,
    };
  }

  return {
    async ofUser(context, filter, page) {
      await flush();
      return database.asUser(context, (transaction) => report(transaction, context.tenantId, filter, page));
    },
    async ofTenant(tenantId, filter, page) {
      await flush();
      return database.asSystem((transaction) => report(transaction, tenantId, filter, page), tenantId);
    },
    async byTenant(tenantId, filter, { limit, after }) {
      await flush();
      const rows = await database.asSystem((transaction) =>
        transaction.query(
          `SELECT tenant_id, ${TOTALS} FROM (${PARTS}) AS parts WHERE ($10::text IS NULL OR tenant_id > $10)
            GROUP BY tenant_id ORDER BY tenant_id LIMIT $11`,
          [...partsOf(tenantId, filter), after ?? null, limit + 1],
        ),
      );
      const data = rows.map((row) => ({
        tenant_id: usageRecordSchema.shape.tenant_id.parse(row.tenant_id),
        ...toTotals(row),
      }));
      return toPage(data, limit, ({ tenant_id }) => tenant_id);
    },
  };
}

function tokensOf(row: Row): UsageTotals['token_usage'] {
  const prompt = Number(row.prompt_tokens ?? 0);
  const completion = Number(row.completion_tokens ?? 0);
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion };
}

const toTotals = (row: Row): UsageTotals => ({
  requests: Number(row.requests ?? 0),
  refused: Number(row.refused ?? 0),
  errors: Number(row.errors ?? 0),
  aborted: Number(row.aborted ?? 0),
  token_usage: tokensOf(row),
  estimated_prompt_tokens: Number(row.estimated_prompt_tokens ?? 0),
  cost_usd_estimate: Number(row.cost_usd ?? 0),
});

const addTotals = (sum: UsageTotals, part: UsageTotals): UsageTotals => ({
  requests: sum.requests + part.requests,
  refused: sum.refused + part.refused,
  errors: sum.errors + part.errors,
  aborted: sum.aborted + part.aborted,
  token_usage: tokensOf({
    prompt_tokens: sum.token_usage.prompt_tokens + part.token_usage.prompt_tokens,
    completion_tokens: sum.token_usage.completion_tokens + part.token_usage.completion_tokens,
  }),
  estimated_prompt_tokens: sum.estimated_prompt_tokens + part.estimated_prompt_tokens,
  cost_usd_estimate: sum.cost_usd_estimate + part.cost_usd_estimate,
});

const toRecord = (row: Row): UsageRecord =>
  usageRecordSchema.parse({
    ...row,
    token_usage: tokensOf(row),
    cost_usd_estimate: Number(row.cost_usd),
    retrieval:
      row.retrieval_chunks === null || row.retrieval_ms === null
        ? null
        : { chunks: row.retrieval_chunks, latency_ms: row.retrieval_ms },
    created_at: row.created_at instanceof Date ? row.created_at.toISOString() : row.created_at,
  });
