import type { Transaction } from '#app/database/database.ts';
import type { TenantId, UserId } from '#app/ids.ts';
import type { NewAuditEvent } from '#router/audit/append-events.ts';

/**
 * Takes back the open invitations that a user made, and with `ofUser` those that name the user: who is put out must not hold a
 * token that lets them, or another of theirs, in again. Returns what the audit says of it.
 */
export async function revokeInvitations(
  transaction: Transaction,
  about: { tenantId: TenantId; userId: UserId; ofUser: boolean; author: string; reason: string },
): Promise<NewAuditEvent[]> {
  const { tenantId, userId, ofUser, author, reason } = about;
  const revoked = await transaction.query(
    `UPDATE bulkhead.invitations SET revoked_at = now()
      WHERE tenant_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL
        AND (invited_by = $2 OR ($4::boolean AND user_id = $3))
      RETURNING invitation_id, role, user_id`,
    [tenantId, `${tenantId}/${userId}`, userId, ofUser],
  );
  return revoked.map(({ invitation_id, role, user_id }) => ({
    actor: author,
    tenantId,
    action: 'invitation.revoked',
    target: String(invitation_id),
    outcome: 'done',
    details: { role: String(role), user_id: user_id === null ? null : String(user_id), reason },
  }));
}
