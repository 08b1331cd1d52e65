import type { Row, Transaction } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import type { TenantId, UserId } from '#app/ids.ts';
import { type Member, type MemberRole, memberSchema } from '#app/schemas/member.ts';
import type { NewAuditEvent } from '#router/audit/append-events.ts';

export const MEMBER_COLUMNS = 'tenant_id, user_id, role, status, invited_by, created_at, updated_at';

/** More people than any tenant has; only those who are active count. */
const MAX_MEMBERS = 10_000;

/** The first step of each change: one at a time for a tenant, and every router hears of it. Throws `not_found`. */
export async function beginMemberChange(transaction: Transaction, tenantId: TenantId): Promise<void> {
  const [tenant] = await transaction.query(
    `UPDATE bulkhead.tenants SET members_version = members_version + 1
      WHERE tenant_id = $1
        AND NOT EXISTS (SELECT 1 FROM bulkhead.tenant_erasures e WHERE e.tenant_id = tenants.tenant_id)
      RETURNING tenant_id`,
    [tenantId],
  );
  if (tenant === undefined) throw notFound('tenant');
}

export async function findMember(
  transaction: Transaction,
  tenantId: TenantId,
  userId: UserId,
): Promise<Member | null> {
  const [row] = await transaction.query(
    `SELECT ${MEMBER_COLUMNS} FROM bulkhead.members WHERE tenant_id = $1 AND user_id = $2`,
    [tenantId, userId],
  );
  return row === undefined ? null : toMember(row);
}

/** Makes the user an active member, also one who was removed before. Throws `conflict` for one who is active. */
export async function insertMember(
  transaction: Transaction,
  member: { tenantId: TenantId; userId: UserId; role: MemberRole; invitedBy: string },
): Promise<Member> {
  const { tenantId, userId, role, invitedBy } = member;
  const known = await findMember(transaction, tenantId, userId);
  if (known?.status === 'active') {
    throw new BulkheadError('conflict', 'The user is a member already.', { param: 'user_id' });
  }
  const [count] = await transaction.query(
    `SELECT count(*)::int AS active FROM bulkhead.members WHERE tenant_id = $1 AND status = 'active'`,
    [tenantId],
  );
  if (Number(count?.active) >= MAX_MEMBERS) {
    throw new BulkheadError('conflict', `A tenant has ${MAX_MEMBERS} members at most.`);
  }
  return writeMember(transaction, { tenantId, userId, role, status: 'active', invitedBy });
}

export async function writeMember(
  transaction: Transaction,
  member: {
    tenantId: TenantId;
    userId: UserId;
    role: MemberRole;
    status: Member['status'];
    invitedBy: string;
  },
): Promise<Member> {
  const { tenantId, userId, role, status, invitedBy } = member;
  const [row] = await transaction.query(
    `INSERT INTO bulkhead.members (tenant_id, user_id, role, status, invited_by) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (tenant_id, user_id) DO UPDATE
       SET role = excluded.role, status = excluded.status, invited_by = excluded.invited_by, updated_at = now()
     RETURNING ${MEMBER_COLUMNS}`,
    [tenantId, userId, role, status, invitedBy],
  );
  if (row === undefined) throw notFound('tenant');
  return toMember(row);
}

export const memberEvent = (
  action: NewAuditEvent['action'],
  { tenant_id, user_id, role }: Pick<Member, 'tenant_id' | 'user_id' | 'role'>,
  actor: string,
  details: NewAuditEvent['details'] = {},
): NewAuditEvent => ({
  actor,
  tenantId: tenant_id,
  action,
  target: user_id,
  outcome: 'done',
  details: { role, ...details },
});

export const toMember = (row: Row): Member =>
  memberSchema.parse({ ...row, created_at: toIso(row.created_at), updated_at: toIso(row.updated_at) });

/** Both drivers give timestamps as Date. */
export const toIso = (value: unknown): string | null => (value instanceof Date ? value.toISOString() : null);
