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

const FILTER = `($1::text IS NULL OR tenant_id = $1) AND ($2::timestamptz IS NULL OR created_at >= $2)
  AND ($3::timestamptz IS NULL OR created_at < $3) AND ($4::text IS NULL OR route = $4)
  AND ($5::text IS NULL OR user_id = $5)`;

const TOTALS = `count(*) AS requests,
  count(*) FILTER (WHERE outcome = 'refused') AS refused,
  count(*) FILTER (WHERE outcome = 'error') AS errors,
  count(*) FILTER (WHERE outcome = 'aborted') AS aborted,
  coalesce(sum(prompt_tokens), 0)::bigint AS prompt_tokens,
  coalesce(sum(completion_tokens), 0)::bigint AS completion_tokens,
  coalesce(sum(cost_usd), 0)::double precision AS cost_usd`;

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
              cost_usd::double precision AS cost_usd, latency_ms, status, outcome, refusal_reason, created_at
         FROM bulkhead.usage_records
        WHERE ${FILTER} AND ($6::text IS NULL OR request_id < $6) ORDER BY request_id DESC LIMIT $7`,
      [...parameters, after ?? null, limit + 1],
    );
    const byRoute = await transaction.query(
      `SELECT route, ${TOTALS} FROM bulkhead.usage_records WHERE ${FILTER} GROUP BY route ORDER BY route`,
      parameters,
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
      return database.asSystem((transaction) => report(transaction, tenantId, filter, page));
    },
    async byTenant(tenantId, filter, { limit, after }) {
      await flush();
      const rows = await database.asSystem((transaction) =>
        transaction.query(
          `SELECT tenant_id, ${TOTALS} FROM bulkhead.usage_records
            WHERE ${FILTER} AND ($6::text IS NULL OR tenant_id > $6) GROUP BY tenant_id ORDER BY tenant_id LIMIT $7`,
          [...parametersOf(tenantId, filter), after ?? null, limit + 1],
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
  cost_usd_estimate: sum.cost_usd_estimate + part.cost_usd_estimate,
});

const toRecord = (row: Row): UsageRecord =>
  usageRecordSchema.parse({
    ...row,
    token_usage: tokensOf(row),
    cost_usd_estimate: Number(row.cost_usd),
    created_at: row.created_at instanceof Date ? row.created_at.toISOString() : row.created_at,
  });
