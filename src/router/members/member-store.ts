import type { Database } from '#app/database/database.ts';
import { notFound } from '#app/errors/bulkhead-error.ts';
import type { TenantId, UserId } from '#app/ids.ts';
import type { Member, MemberRole } from '#app/schemas/member.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import { appendEvents, type NewAuditEvent } from '#router/audit/append-events.ts';
import {
  beginMemberChange,
  findMember,
  insertMember,
  MEMBER_COLUMNS,
  memberEvent,
  toMember,
  writeMember,
} from '#router/members/member-rows.ts';
import { revokeInvitations } from '#router/members/revoke-invitations.ts';

export type MemberName = Readonly<{ tenantId: TenantId; userId: UserId }>;
export type RemovedMember = Readonly<{ member: Member; revokedKeyIds: readonly string[] }>;

export interface MemberStore {
  /** Throws `conflict` for somebody who is a member, and `not_found` for a tenant that does not exist. */
  add(member: MemberName & { role: MemberRole; author: string }): Promise<Member>;
  /** Throws `not_found` for somebody who is no active member. The open invitations of one who is no admin any more end. */
  changeRole(member: MemberName & { role: MemberRole; author: string }): Promise<Member>;
  /**
   * Revokes all the user's keys and open invitations, by them and for them, and refuses every credential that names them
   * from then on, whether they were listed or not. Removing twice changes nothing more.
   */
  remove(member: MemberName & { author: string }): Promise<RemovedMember>;
  /** By user id, ascending. */
  list(tenantId: TenantId, page: PageRequest): Promise<Page<Member>>;
  /** One answer a name, null for those who are not listed. */
  findMany(names: readonly MemberName[]): Promise<(Member | null)[]>;
}

/** A tenant's members in the database. */
export function createMemberStore(options: { database: Database }): MemberStore {
  const { database } = options;

  return {
    add: ({ tenantId, userId, role, author }) =>
      database.asSystem(async (transaction) => {
        await beginMemberChange(transaction, tenantId);
        const member = await insertMember(transaction, { tenantId, userId, role, invitedBy: author });
        await appendEvents(transaction, tenantId, [memberEvent('member.added', member, author)]);
        return member;
      }, tenantId),

    changeRole: ({ tenantId, userId, role, author }) =>
      database.asSystem(async (transaction) => {
        const about = { tenantId, userId, ofUser: false, author, reason: 'member.changed' };
        const revoke = async (): Promise<NewAuditEvent[]> =>
          role === 'admin' ? [] : revokeInvitations(transaction, about);
        // Before the tenant, as those who accept one do, and after it: one may have been made meanwhile.
        const events = await revoke();
        await beginMemberChange(transaction, tenantId);
        events.push(...(await revoke()));
        const known = await findMember(transaction, tenantId, userId);
        if (known?.status !== 'active') throw notFound('member', 'user_id');
        const member = await writeMember(transaction, {
          tenantId,
          userId,
          role,
          status: 'active',
          invitedBy: known.invited_by,
        });
        await appendEvents(transaction, tenantId, [
          memberEvent('member.changed', member, author, { previous_role: known.role }),
          ...events,
        ]);
        return member;
      }, tenantId),

    remove: ({ tenantId, userId, author }) =>
      database.asSystem(async (transaction) => {
        const about = { tenantId, userId, ofUser: true, author, reason: 'member.removed' };
        const invitations = await revokeInvitations(transaction, about);
        await beginMemberChange(transaction, tenantId);
        invitations.push(...(await revokeInvitations(transaction, about)));
        const known = await findMember(transaction, tenantId, userId);
        const member = await writeMember(transaction, {
          tenantId,
          userId,
          role: known?.role ?? 'member',
          status: 'removed',
          invitedBy: known?.invited_by ?? author,
        });
        const revoked = await transaction.query(
          `UPDATE bulkhead.api_keys SET revoked_at = now()
            WHERE tenant_id = $1 AND user_id = $2 AND revoked_at IS NULL RETURNING key_id`,
          [tenantId, userId],
        );
        const revokedKeyIds = revoked.map((row) => String(row.key_id));
        const events: NewAuditEvent[] = revokedKeyIds.map((target) => ({
          actor: author,
          tenantId,
          action: 'key.revoked',
          target,
          outcome: 'done',
          details: { user_id: userId, reason: 'member.removed' },
        }));
        events.push(...invitations);
        if (known?.status !== 'removed') events.unshift(memberEvent('member.removed', member, author));
        if (events.length > 0) await appendEvents(transaction, tenantId, events);
        return { member, revokedKeyIds };
      }, tenantId),

    async list(tenantId, { limit, after }) {
      const rows = await database.asSystem(
        (transaction) =>
          transaction.query(
            `SELECT ${MEMBER_COLUMNS} FROM bulkhead.members
            WHERE tenant_id = $1 AND ($2::text IS NULL OR user_id > $2) ORDER BY user_id LIMIT $3`,
            [tenantId, after ?? null, limit + 1],
          ),
        tenantId,
      );
      return toPage(rows.map(toMember), limit, ({ user_id }) => user_id);
    },

    async findMany(names) {
      const asked = JSON.stringify(
        names.map(({ tenantId, userId }) => ({ tenant_id: tenantId, user_id: userId })),
      );
      const rows = await database.asSystem(
        (transaction) =>
          transaction.query(
            `SELECT ${MEMBER_COLUMNS} FROM bulkhead.members
             JOIN (SELECT DISTINCT tenant_id, user_id
                     FROM jsonb_to_recordset($1::jsonb) AS name (tenant_id text, user_id text)) asked
            USING (tenant_id, user_id)`,
            [asked],
          ),
        'platform:credentials',
      );
      const found = new Map(
        rows.map(toMember).map((member) => [nameKey(member.tenant_id, member.user_id), member]),
      );
      return names.map(({ tenantId, userId }) => found.get(nameKey(tenantId, userId)) ?? null);
    },
  };
}

/** No id holds a slash. */
const nameKey = (tenantId: TenantId, userId: UserId): string => `${tenantId}/${userId}`;
