import type { Database } from '#app/database/database.ts';
import type { UsageRecord } from '#app/schemas/usage.ts';

/**
 * Writes rows in one transaction; those whose request id is there already change nothing. Rows of a tenant that is
 * erased are left out. Where the database refuses some, the others are written, and `onRefused` is told. Throws
 * where it cannot be asked; then all may be sent again.
 */
export async function insertUsage(
  database: Database,
  rows: readonly UsageRecord[],
  onRefused: (row: UsageRecord, error: unknown) => void,
): Promise<void> {
  try {
    await insert(database, rows);
  } catch (error) {
    if (!isRefusedByDatabase(error)) throw error;
    const [first] = rows;
    if (first !== undefined && rows.length === 1) {
      onRefused(first, error);
      return;
    }
    // Halves, until the one that no retry helps stands alone.
    const middle = rows.length >> 1;
    await insertUsage(database, rows.slice(0, middle), onRefused);
    await insertUsage(database, rows.slice(middle), onRefused);
  }
}

async function insert(database: Database, rows: readonly UsageRecord[]): Promise<void> {
  const values = rows.map(({ token_usage, ...row }) => ({
    ...row,
    prompt_tokens: token_usage.prompt_tokens,
    completion_tokens: token_usage.completion_tokens,
  }));
  await database.asSystem((transaction) =>
    transaction.query(
      `WITH given AS (
         SELECT * FROM jsonb_to_recordset($1::jsonb) AS row (request_id text, tenant_id text, user_id text, key_id text,
                route text, model text, prompt_tokens bigint, completion_tokens bigint, cost_usd_estimate numeric,
                latency_ms double precision, status integer, outcome text, refusal_reason text, created_at timestamptz)),
       known AS (
         SELECT tenant_id FROM bulkhead.tenants WHERE tenant_id IN (SELECT tenant_id FROM given)
          ORDER BY tenant_id FOR KEY SHARE)
       INSERT INTO bulkhead.usage_records (request_id, tenant_id, user_id, key_id, route, model, prompt_tokens,
              completion_tokens, cost_usd, latency_ms, status, outcome, refusal_reason, created_at)
       SELECT request_id, tenant_id, user_id, key_id, route, model, prompt_tokens, completion_tokens,
              cost_usd_estimate, latency_ms, status, outcome, refusal_reason, created_at
         FROM given JOIN known USING (tenant_id)
       ON CONFLICT (request_id) DO NOTHING`,
      [JSON.stringify(values)],
    ),
  );
}

/** SQLSTATE classes 22 (data) and 23 (constraint). */
function isRefusedByDatabase(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && typeof error.code === 'string' && /^2[23]/.test(error.code)
  );
}
