import type { Database } from '#app/database/database.ts';
import { stringifyStorable } from '#app/database/stringify-storable.ts';
import type { RequestLogDetail } from '#app/schemas/request-log.ts';

/** A row as it is written: small while it waits, and there is little left to do when its batch is sent. */
export type StorableRequest = Readonly<{ tenantId: string; requestId: string; json: string }>;

export const storableRequest = (row: Omit<RequestLogDetail, 'created_at'>): StorableRequest => ({
  tenantId: row.tenant_id,
  requestId: row.request_id,
  json: stringifyStorable(row),
});

/** Writes rows of many tenants in one statement; how many are in. Rows of tenants that are gone are left out. */
export async function insertRequests(database: Database, rows: readonly StorableRequest[]): Promise<number> {
  const [result] = await database.asSystem(async (transaction) => {
    // Locked in one order: two routers that write for the same tenants never wait for each other in a ring.
    await transaction.query(
      `SELECT 1 FROM bulkhead.tenants WHERE tenant_id IN (SELECT jsonb_array_elements_text($1::jsonb))
        ORDER BY tenant_id FOR KEY SHARE`,
      [JSON.stringify([...new Set(rows.map(({ tenantId }) => tenantId))])],
    );
    await transaction.query(
      `INSERT INTO bulkhead.request_log (tenant_id, request_id, user_id, route, model, status, outcome, refusal_reason,
              latency_ms, decision, bodies)
       SELECT row.tenant_id, request_id, user_id, route, model, status, outcome, refusal_reason, latency_ms, decision,
              nullif(bodies, 'null'::jsonb)
         FROM jsonb_to_recordset($1::jsonb) AS row (tenant_id text, request_id text, user_id text, route text,
              model text, status integer, outcome text, refusal_reason text, latency_ms double precision,
              decision jsonb, bodies jsonb)
         JOIN bulkhead.tenants USING (tenant_id)
       ON CONFLICT DO NOTHING`,
      [`[${rows.map(({ json }) => json).join(',')}]`],
    );
    return [rows.length];
  }, 'platform:requests');
  return result ?? 0;
}
