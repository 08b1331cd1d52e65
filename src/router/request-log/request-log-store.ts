import type { Database, Row } from '#app/database/database.ts';
import { notFound } from '#app/errors/bulkhead-error.ts';
import { firstIdAt, type RequestId, timeOfId } from '#app/ids.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import {
  type RequestLogDetail,
  type RequestLogEntry,
  requestLogDetailSchema,
  requestLogEntrySchema,
} from '#app/schemas/request-log.ts';
import type { UsageOutcome } from '#app/schemas/usage.ts';
import type { TenantContext } from '#app/tenant-context.ts';

export type RequestFilter = Readonly<{
  /** Requests that began at or after, and before, these times. */
  from: Date | null;
  to: Date | null;
  outcome: UsageOutcome | null;
  user: string | null;
  route: string | null;
  model: string | null;
  /** A refusal reason, such as `rate_limit_exceeded`. */
  refusal: string | null;
}>;

/** The request log of the context's tenant; row-level security sees to it that it is no other's. */
export interface RequestLogStore {
  /** Newest first; `after` is a request id. */
  list(context: TenantContext, filter: RequestFilter, page: PageRequest): Promise<Page<RequestLogEntry>>;
  /** One request with its bodies, where they are kept. Throws `not_found`. */
  get(context: TenantContext, requestId: RequestId): Promise<RequestLogDetail>;
}

const COLUMNS = `tenant_id, request_id, user_id, route, model, status, outcome, refusal_reason, latency_ms, decision`;

export function createRequestLogStore({ database }: { database: Database }): RequestLogStore {
  return {
    async list(context, { from, to, outcome, user, route, model, refusal }, { limit, after }) {
      const rows = await database.asTenant(context, (transaction) =>
        transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.request_log
            WHERE tenant_id = $1 AND ($2::text IS NULL OR request_id >= $2) AND ($3::text IS NULL OR request_id < $3)
              AND ($4::text IS NULL OR outcome = $4) AND ($5::text IS NULL OR user_id = $5)
              AND ($6::text IS NULL OR route = $6) AND ($7::text IS NULL OR model = $7)
              AND ($8::text IS NULL OR refusal_reason = $8) AND ($9::text IS NULL OR request_id < $9)
            ORDER BY request_id DESC LIMIT $10`,
          [
            context.tenantId,
            from === null ? null : firstIdAt('req', from.getTime()),
            to === null ? null : firstIdAt('req', to.getTime()),
            outcome,
            user,
            route,
            model,
            refusal,
            after ?? null,
            limit + 1,
          ],
        ),
      );
      const entries = rows.map((row) => requestLogEntrySchema.parse(fieldsOf(row)));
      return toPage(entries, limit, ({ request_id }) => request_id);
    },

    async get(context, requestId) {
      const [row] = await database.asTenant(context, (transaction) =>
        transaction.query(
          `SELECT ${COLUMNS}, bodies FROM bulkhead.request_log WHERE tenant_id = $1 AND request_id = $2`,
          [context.tenantId, requestId],
        ),
      );
      if (row === undefined) throw notFound('request');
      return requestLogDetailSchema.parse(fieldsOf(row));
    },
  };
}

const fieldsOf = (row: Row) => ({
  ...row,
  created_at: new Date(timeOfId(String(row.request_id))).toISOString(),
});
