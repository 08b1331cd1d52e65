import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { Database, Row, Transaction } from '#app/database/database.ts';
import { BulkheadError, notFound } from '#app/errors/bulkhead-error.ts';
import { sortableId, type TenantId, type UserId } from '#app/ids.ts';
import {
  type AcceptedInvitation,
  type CreatedInvitation,
  type Invitation,
  invitationSchema,
  type MemberRole,
} from '#app/schemas/member.ts';
import { type Page, type PageRequest, toPage } from '#app/schemas/page.ts';
import { SCOPES_OF_ROLE } from '#app/tenant-context.ts';
import { appendEvents, type NewAuditEvent } from '#router/audit/append-events.ts';
import { hmacOfSecret } from '#router/identity/api-key.ts';
import type { ApiKeyStore } from '#router/identity/api-key-store.ts';
import {
  beginMemberChange,
  findMember,
  insertMember,
  memberEvent,
  toIso,
} from '#router/members/member-rows.ts';

export interface InvitationStore {
  /** Throws `conflict` for somebody who is a member, and where too many invitations are open. */
  create(invitation: {
    tenantId: TenantId;
    role: MemberRole;
    userId: UserId | null;
    email: string | null;
    expiresAt: Date;
    author: string;
  }): Promise<CreatedInvitation>;
  /** Newest first. */
  list(tenantId: TenantId, page: PageRequest): Promise<Page<Invitation>>;
  /** Throws `not_found`, and `conflict` for one that was accepted. Revoking twice keeps the first time. */
  revoke(tenantId: TenantId, invitationId: string, author: string): Promise<Invitation>;
  /**
   * Makes a member of whom the invitation names, and gives them a key; or of `userId`, whose own credential has proven
   * it. Throws `invalid_credential` for every token that is none, was used, has ended or is another tenant's.
   */
  accept(acceptance: {
    tenantId: TenantId;
    token: string;
    userId: UserId | null;
  }): Promise<AcceptedInvitation>;
}

const TOKEN = /^inv_([0-9a-z]{26})_([A-Za-z0-9_-]{43})$/;
const MAX_OPEN = 1_000;
const COLUMNS = `tenant_id, invitation_id, role, user_id, email, invited_by, created_at, expires_at, accepted_at,
  accepted_by, revoked_at`;

/** A tenant's invitations in the database. `now` is the clock by which they end. */
export function createInvitationStore(options: {
  database: Database;
  apiKeys: Pick<ApiKeyStore, 'createIn'>;
  pepper: string;
  now: () => number;
}): InvitationStore {
  const { database, apiKeys, pepper, now } = options;
  // Never equal to the hash of an API key's secret.
  const hmacOf = (secret: string) => hmacOfSecret(pepper, `invitation:${secret}`);

  async function openInvitation(
    transaction: Transaction,
    tenantId: TenantId,
    token: string,
  ): Promise<Invitation> {
    const [, id, secret] = TOKEN.exec(token) ?? [];
    if (id === undefined || secret === undefined) throw refused();
    const [row] = await transaction.query(
      `SELECT ${COLUMNS}, secret_hmac FROM bulkhead.invitations
        WHERE tenant_id = $1 AND invitation_id = $2 FOR UPDATE`,
      [tenantId, id],
    );
    const proof = hmacOf(secret);
    const stored =
      row === undefined ? Buffer.alloc(proof.length) : Buffer.from(String(row.secret_hmac), 'hex');
    if (!timingSafeEqual(proof, stored) || row === undefined) throw refused();
    const invitation = toInvitation(row);
    const isOpen = invitation.accepted_at === null && invitation.revoked_at === null;
    if (!isOpen || Date.parse(invitation.expires_at) <= now()) throw refused();
    return invitation;
  }

  return {
    async create({ tenantId, role, userId, email, expiresAt, author }) {
      const id = sortableId();
      const secret = randomBytes(32).toString('base64url');
      const invitation = await database.asSystem(async (transaction) => {
        await beginMemberChange(transaction, tenantId);
        const known = userId === null ? null : await findMember(transaction, tenantId, userId);
        if (known?.status === 'active') {
          throw new BulkheadError('conflict', 'The user is a member already.', { param: 'user_id' });
        }
        const [count] = await transaction.query(
          `SELECT count(*)::int AS open FROM bulkhead.invitations
            WHERE tenant_id = $1 AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at > $2`,
          [tenantId, new Date(now())],
        );
        if (Number(count?.open) >= MAX_OPEN) {
          throw new BulkheadError('conflict', `A tenant has ${MAX_OPEN} open invitations at most.`);
        }
        const [row] = await transaction.query(
          `INSERT INTO bulkhead.invitations (tenant_id, invitation_id, secret_hmac, role, user_id, email, invited_by, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) RETURNING ${COLUMNS}`,
          [tenantId, id, hmacOf(secret).toString('hex'), role, userId, email, author, expiresAt],
        );
        if (row === undefined) throw notFound('tenant');
        const created = toInvitation(row);
        await appendEvents(transaction, tenantId, [eventOf('member.invited', created, author)]);
        return created;
      }, tenantId);
      return { ...invitation, token: `inv_${id}_${secret}` };
    },

    async list(tenantId, { limit, after }) {
      const rows = await database.asSystem(
        (transaction) =>
          transaction.query(
            `SELECT ${COLUMNS} FROM bulkhead.invitations
            WHERE tenant_id = $1 AND ($2::text IS NULL OR invitation_id < $2) ORDER BY invitation_id DESC LIMIT $3`,
            [tenantId, after ?? null, limit + 1],
          ),
        tenantId,
      );
      return toPage(rows.map(toInvitation), limit, ({ invitation_id }) => invitation_id);
    },

    revoke: (tenantId, invitationId, author) =>
      database.asSystem(async (transaction) => {
        const [row] = await transaction.query(
          `SELECT ${COLUMNS} FROM bulkhead.invitations WHERE tenant_id = $1 AND invitation_id = $2 FOR UPDATE`,
          [tenantId, invitationId],
        );
        if (row === undefined) throw notFound('invitation', 'invitation_id');
        const known = toInvitation(row);
        if (known.revoked_at !== null) return known;
        if (known.accepted_at !== null) {
          throw new BulkheadError('conflict', 'The invitation was accepted. Remove the member instead.');
        }
        const [changed] = await transaction.query(
          `UPDATE bulkhead.invitations SET revoked_at = now()
            WHERE tenant_id = $1 AND invitation_id = $2 RETURNING ${COLUMNS}`,
          [tenantId, invitationId],
        );
        if (changed === undefined) throw notFound('invitation', 'invitation_id');
        await appendEvents(transaction, tenantId, [eventOf('invitation.revoked', known, author)]);
        return toInvitation(changed);
      }, tenantId),

    accept: ({ tenantId, token, userId }) =>
      database.asSystem(async (transaction) => {
        // The token before the tenant: a stranger without one locks nothing.
        const invitation = await openInvitation(transaction, tenantId, token);
        await beginMemberChange(transaction, tenantId).catch((error: unknown) => {
          throw error instanceof BulkheadError && error.code === 'not_found' ? refused() : error;
        });
        if (userId !== null && invitation.user_id !== null && userId !== invitation.user_id) {
          throw new BulkheadError('user_mismatch', 'The invitation is for another user.', { param: 'token' });
        }
        const accepting = userId ?? invitation.user_id;
        if (accepting === null) {
          const message = 'The invitation names no user: accept it with a credential that does.';
          throw new BulkheadError('missing_credential', message);
        }
        const { role, invitation_id, invited_by: invitedBy } = invitation;
        const member = await insertMember(transaction, { tenantId, userId: accepting, role, invitedBy });
        await transaction.query(
          `UPDATE bulkhead.invitations SET accepted_at = now(), accepted_by = $3
            WHERE tenant_id = $1 AND invitation_id = $2`,
          [tenantId, invitation_id, accepting],
        );
        const actor = `${tenantId}/${accepting}`;
        const apiKey =
          userId !== null
            ? null
            : await apiKeys.createIn(transaction, {
                tenantId,
                userId: accepting,
                role,
                scopes: SCOPES_OF_ROLE[role],
                name: 'invitation',
                expiresAt: null,
                author: actor,
              });
        await appendEvents(transaction, tenantId, [
          memberEvent('member.joined', member, actor, { invitation_id }),
        ]);
        return { member, api_key: apiKey };
      }, 'platform:strangers'),
  };
}

/** One answer for every flaw of a token. */
const refused = () =>
  new BulkheadError('invalid_credential', 'The invitation is not valid.', { param: 'token' });

const eventOf = (
  action: NewAuditEvent['action'],
  { tenant_id, invitation_id, user_id, role }: Invitation,
  actor: string,
): NewAuditEvent => ({
  actor,
  tenantId: tenant_id,
  action,
  target: invitation_id,
  outcome: 'done',
  details: { role, user_id },
});

const toInvitation = (row: Row): Invitation =>
  invitationSchema.parse({
    ...row,
    created_at: toIso(row.created_at),
    expires_at: toIso(row.expires_at),
    accepted_at: toIso(row.accepted_at),
    revoked_at: toIso(row.revoked_at),
  });
