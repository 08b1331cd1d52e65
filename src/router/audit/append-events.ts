import type { Transaction } from '#app/database/database.ts';
import type { TenantId } from '#app/ids.ts';
import type { AuditAction, AuditDetails, AuditEvent } from '#app/schemas/audit-event.ts';
import { hashOfEvent, NO_HASH, OPERATORS_CHAIN } from '#router/audit/hash-event.ts';

/** An event that is to be appended. */
export type NewAuditEvent = Readonly<{
  actor: string;
  tenantId: TenantId | null;
  action: AuditAction;
  target: string | null;
  outcome: AuditEvent['outcome'];
  details: AuditDetails;
  /** Default: now. */
  at?: Date;
}>;

/** The platform itself as an actor: seeding, recovery. */
export const PLATFORM_ACTOR = 'bulkhead';

/**
 * Appends to a chain, in the caller's transaction (`asSystem`): the events are there if and only if what they tell of
 * is. The chain's row stays locked until the transaction ends, so this comes last in it; with two chains, the tenant's
 * comes before the operators'. False, with nothing written, where the tenant is gone.
 */
export async function appendEvents(
  transaction: Transaction,
  chain: TenantId | typeof OPERATORS_CHAIN,
  events: readonly NewAuditEvent[],
): Promise<boolean> {
  const tenantId = chain === OPERATORS_CHAIN ? null : chain;
  await transaction.query(
    `INSERT INTO bulkhead.audit_chains (chain, tenant_id, hash)
     SELECT $1, $2, $3 WHERE $2::text IS NULL OR EXISTS (SELECT 1 FROM bulkhead.tenants WHERE tenant_id = $2)
     ON CONFLICT (chain) DO NOTHING`,
    [chain, tenantId, NO_HASH],
  );
  const [head] = await transaction.query(
    'SELECT seq::float8 AS seq, hash FROM bulkhead.audit_chains WHERE chain = $1 FOR UPDATE',
    [chain],
  );
  if (head === undefined) return false;
  let seq = Number(head.seq);
  let previous = String(head.hash);
  const rows = events.map(({ actor, tenantId: of, action, target, outcome, details, at = new Date() }) => {
    seq += 1;
    const event = {
      seq,
      at: at.toISOString(),
      actor,
      tenant_id: of,
      action,
      target,
      outcome,
      details,
      previous_hash: previous,
    };
    previous = hashOfEvent(chain, event);
    return { ...event, hash: previous };
  });
  await transaction.query(
    `INSERT INTO bulkhead.audit_events
       (chain, seq, at, actor, tenant_id, action, target, outcome, details, previous_hash, hash)
     SELECT $1, seq, at, actor, tenant_id, action, target, outcome, details, previous_hash, hash
       FROM jsonb_to_recordset($2::jsonb) AS row (seq bigint, at timestamptz, actor text, tenant_id text, action text,
            target text, outcome text, details jsonb, previous_hash text, hash text)`,
    [chain, JSON.stringify(rows)],
  );
  await transaction.query('UPDATE bulkhead.audit_chains SET seq = $2, hash = $3 WHERE chain = $1', [
    chain,
    seq,
    previous,
  ]);
  return true;
}
