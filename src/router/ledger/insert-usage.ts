import type { Database } from '#app/database/database.ts';
import { stringifyStorable } from '#app/database/stringify-storable.ts';
import type { UsageRecord } from '#app/schemas/usage.ts';

/** A row and its JSON, which is made once: the log's line holds it, and the database reads it. */
export type StorableUsage = Readonly<{ row: UsageRecord; json: string }>;

export const storableUsage = (row: UsageRecord): StorableUsage => ({ row, json: stringifyStorable(row) });

/**
 * Writes rows in one transaction; those whose request id is there already change nothing. Rows of a tenant that is
 * erased are left out. Where the database refuses some, the others are written, and `onRefused` is told. Throws
 * where it cannot be asked; then all may be sent again.
 */
export async function insertUsage(
  database: Database,
  rows: readonly StorableUsage[],
  onRefused: (row: UsageRecord, error: unknown) => void,
): Promise<void> {
  try {
    await insert(database, rows);
  } catch (error) {
    if (!isRefusedByDatabase(error)) throw error;
    const [first] = rows;
    if (first !== undefined && rows.length === 1) {
      onRefused(first.row, error);
      return;
    }
    // Halves, until the one that no retry helps stands alone.
    const middle = rows.length >> 1;
    await insertUsage(database, rows.slice(0, middle), onRefused);
    await insertUsage(database, rows.slice(middle), onRefused);
  }
}

async function insert(database: Database, rows: readonly StorableUsage[]): Promise<void> {
  const values = `[${rows.map(({ json }) => json).join(',')}]`;
  await database.asSystem((transaction) => transaction.query(INSERT, [values]), 'platform:usage');
}

/** Only rows that were not there count in the sums. Locks are taken in one order: two routers never wait in a ring. */
const INSERT = `
  WITH given AS (
    SELECT row.*, (token_usage ->> 'prompt_tokens')::bigint AS prompt_tokens,
           (token_usage ->> 'completion_tokens')::bigint AS completion_tokens,
           coalesce(estimated_prompt_tokens, 0) AS estimated_tokens,
           (retrieval ->> 'chunks')::integer AS retrieval_chunks,
           (retrieval ->> 'latency_ms')::double precision AS retrieval_ms
      FROM jsonb_to_recordset($1::jsonb) AS row (request_id text, tenant_id text, user_id text, key_id text,
           route text, model text, token_usage jsonb, estimated_prompt_tokens bigint, cost_usd_estimate numeric, price_version bigint, retrieval jsonb,
           latency_ms double precision, status integer, outcome text, refusal_reason text, created_at timestamptz)),
  known AS MATERIALIZED (
    SELECT tenant_id FROM bulkhead.tenants WHERE tenant_id IN (SELECT tenant_id FROM given)
     ORDER BY tenant_id FOR KEY SHARE),
  added AS (
    INSERT INTO bulkhead.usage_records (request_id, tenant_id, user_id, key_id, route, model, prompt_tokens,
           completion_tokens, estimated_prompt_tokens, cost_usd, price_version, retrieval_chunks, retrieval_ms, latency_ms, status, outcome,
           refusal_reason, created_at)
    SELECT request_id, tenant_id, user_id, key_id, route, model, prompt_tokens, completion_tokens,
           estimated_tokens, cost_usd_estimate, price_version, retrieval_chunks, retrieval_ms, latency_ms, status, outcome,
           refusal_reason, created_at
      FROM given JOIN known USING (tenant_id)
    ON CONFLICT (request_id) DO NOTHING
    RETURNING tenant_id, user_id, route, coalesce(model, '') AS model, prompt_tokens, completion_tokens,
              estimated_prompt_tokens, cost_usd, outcome, created_at AT TIME ZONE 'UTC' AS at),
  hours AS (
    INSERT INTO bulkhead.usage_hours AS h (tenant_id, hour, user_id, route, model, requests, refused, errors, aborted,
           prompt_tokens, completion_tokens, estimated_prompt_tokens, cost_usd)
    SELECT tenant_id, date_trunc('hour', at) AT TIME ZONE 'UTC', user_id, route, model, count(*),
           count(*) FILTER (WHERE outcome = 'refused'), count(*) FILTER (WHERE outcome = 'error'),
           count(*) FILTER (WHERE outcome = 'aborted'), sum(prompt_tokens), sum(completion_tokens),
           sum(estimated_prompt_tokens), sum(cost_usd)
      FROM added GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5
    ON CONFLICT (tenant_id, hour, user_id, route, model) DO UPDATE SET requests = h.requests + excluded.requests,
           refused = h.refused + excluded.refused, errors = h.errors + excluded.errors,
           aborted = h.aborted + excluded.aborted, prompt_tokens = h.prompt_tokens + excluded.prompt_tokens,
           completion_tokens = h.completion_tokens + excluded.completion_tokens,
           estimated_prompt_tokens = h.estimated_prompt_tokens + excluded.estimated_prompt_tokens,
           cost_usd = h.cost_usd + excluded.cost_usd)
  INSERT INTO bulkhead.usage_months AS m (tenant_id, month, requests, cost_usd)
  SELECT tenant_id, date_trunc('month', at)::date, count(*), sum(cost_usd) FROM added GROUP BY 1, 2 ORDER BY 1, 2
  ON CONFLICT (tenant_id, month) DO UPDATE SET requests = m.requests + excluded.requests,
         cost_usd = m.cost_usd + excluded.cost_usd`;

/** SQLSTATE classes 22 (data) and 23 (constraint). */
function isRefusedByDatabase(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && /^2[23]/.test(error.code)
  );
}
