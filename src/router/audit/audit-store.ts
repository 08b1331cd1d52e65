import type { Database, Row, Transaction } from '#app/database/database.ts';
import type { TenantId } from '#app/ids.ts';
import {
  type AuditAction,
  type AuditEvent,
  type AuditVerification,
  auditEventSchema,
} from '#app/schemas/audit-event.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import { OPERATORS_CHAIN } from '#router/audit/hash-event.ts';
import { CHAIN_START, followChain } from '#router/audit/verify-chain.ts';
import type { Principal } from '#router/identity/principal.ts';

export type AuditFilter = Readonly<{ action: AuditAction | null }>;

/** The audit, for those who may read it. Row-level security decides what a tenant admin's query can see. */
export interface AuditStore {
  /** Newest first; `after` is the `seq` of the last event seen. `tenantId` null: the operators' own chain. */
  list(
    reader: Principal,
    tenantId: TenantId | null,
    filter: AuditFilter,
    page: PageRequest,
  ): Promise<Page<AuditEvent>>;
  /** Computes every hash of a chain anew. Events that are appended meanwhile are left for the next check. */
  verify(reader: Principal, tenantId: TenantId | null, signal: AbortSignal): Promise<AuditVerification>;
}

const COLUMNS = `seq::float8 AS seq, at, actor, tenant_id, action, target, outcome, details, previous_hash, hash`;
const VERIFY_BATCH = 1_000;

export function createAuditStore({ database }: { database: Database }): AuditStore {
  const as = <Result>(reader: Principal, work: (transaction: Transaction) => Promise<Result>) =>
    reader.kind === 'tenant' ? database.asTenant(reader.context, work) : database.asSystem(work);

  return {
    async list(reader, tenantId, { action }, { limit, after }) {
      const rows = await as(reader, (transaction) =>
        transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.audit_events
            WHERE chain = $1 AND ($2::bigint IS NULL OR seq < $2) AND ($3::text IS NULL OR action = $3)
            ORDER BY seq DESC LIMIT $4`,
          [tenantId ?? OPERATORS_CHAIN, after ?? null, action, limit + 1],
        ),
      );
      return toPage(rows.map(toEvent), limit, ({ seq }) => String(seq));
    },

    async verify(reader, tenantId, signal) {
      const chain = tenantId ?? OPERATORS_CHAIN;
      const [row] = await as(reader, (transaction) =>
        transaction.query('SELECT seq::float8 AS seq, hash FROM bulkhead.audit_chains WHERE chain = $1', [
          chain,
        ]),
      );
      const head = row === undefined ? CHAIN_START : { seq: Number(row.seq), hash: String(row.hash) };
      const report = (broken: AuditVerification['broken']): AuditVerification => ({
        tenant_id: tenantId,
        valid: broken === null,
        events: head.seq,
        head_hash: head.hash,
        broken,
      });
      let position = CHAIN_START;
      // One transaction a batch: a long chain holds up nobody. What is behind the head does not change.
      while (position.seq < head.seq) {
        signal.throwIfAborted();
        const { seq } = position;
        const rows = await as(reader, (transaction) =>
          transaction.query(
            `SELECT ${COLUMNS} FROM bulkhead.audit_events
              WHERE chain = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`,
            [chain, seq, head.seq, VERIFY_BATCH],
          ),
        );
        const { reached, broken } = followChain(chain, position, rows.map(eventOrNull));
        if (broken !== null) return report(broken);
        if (rows.length === 0) return report({ seq: seq + 1, reason: 'missing' });
        position = reached;
      }
      return report(position.hash === head.hash ? null : { seq: Math.max(1, head.seq), reason: 'head' });
    },
  };
}

const fieldsOf = (row: Row) => ({ ...row, at: row.at instanceof Date ? row.at.toISOString() : row.at });

const toEvent = (row: Row): AuditEvent => auditEventSchema.parse(fieldsOf(row));

/** null for what this version could not have written. */
const eventOrNull = (row: Row): AuditEvent | null => auditEventSchema.safeParse(fieldsOf(row)).data ?? null;
