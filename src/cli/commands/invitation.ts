import { type Command, InvalidArgumentError, Option } from 'commander';
import {
  acceptedInvitationSchema,
  createdInvitationSchema,
  type Invitation,
  invitationIdSchema,
  invitationPageSchema,
  invitationSchema,
  MEMBER_ROLES,
} from '#app/schemas/member.ts';
import { type CliIo, printable, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId, checkedUserId } from '#cli/commands/checked-tenant-id.ts';
import { readAllPages } from '#cli/commands/read-all-pages.ts';
import { type ConnectionOptions, connect, connectAsStranger, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

type InviteOptions = ConnectionOptions & { user?: string; role: string; email?: string; expiresIn?: number };

/** `member invite|invitations|uninvite|accept`: how somebody becomes a member. */
export function addInvitationCommands(member: Command, io: CliIo): void {
  const path = (tenant: string) => `/admin/tenants/${checkedTenantId(tenant)}/members`;

  withConnection(member.command('invite <tenant>'), 'operator')
    .description('make an invitation; its token is shown this once, and nothing is sent')
    .option('--user <user>', 'who is to come; then no other credential is needed to accept')
    .addOption(new Option('--role <role>', 'what the user may be').choices(MEMBER_ROLES).default('member'))
    .option('--email <address>', 'a note of where it was sent')
    .option('--expires-in <time>', 'how long it holds, such as 30m, 12h or 7d (default: 7d)', seconds)
    .action(async (tenant: string, options: InviteOptions) => {
      const { user, role, email, expiresIn } = options;
      if (user !== undefined) checkedUserId(user);
      const invitePath = `${path(tenant)}/invitations`;
      const api = await connect(io, options, 'operator');
      const created = await api.request(invitePath, createdInvitationSchema, {
        method: 'POST',
        json: {
          role,
          ...(user === undefined ? {} : { user_id: user }),
          ...(email === undefined ? {} : { email }),
          ...(expiresIn === undefined ? {} : { expires_in_seconds: expiresIn }),
        },
      });
      if (options.json === true) return writeJson(io.stdout, created);
      const whom = created.user_id === null ? 'whoever has a credential of the tenant' : created.user_id;
      writeLine(
        io.stderr,
        `Invitation ${created.invitation_id} for ${printable(whom)} (${created.role}), until ${created.expires_at}:`,
      );
      writeLine(io.stdout, created.token);
      writeLine(io.stderr, `To accept it: npx bulkhead member accept ${tenant} <token>`);
    });

  withConnection(member.command('invitations <tenant>'), 'operator')
    .description('list a tenant’s invitations, without their tokens')
    .action(async (tenant: string, options: ConnectionOptions) => {
      const listPath = `${path(tenant)}/invitations`;
      const api = await connect(io, options, 'operator');
      const found = await readAllPages(
        api,
        listPath,
        invitationPageSchema,
        ({ invitation_id }) => invitation_id,
      );
      if (options.json === true) return writeJson(io.stdout, { object: 'list', data: found });
      if (found.length === 0) return writeLine(io.stdout, 'There are no invitations.');
      const rows = found.map((invitation) => [
        invitation.invitation_id,
        invitation.user_id ?? 'anybody',
        invitation.role,
        printable(invitation.email ?? ''),
        printable(invitation.invited_by),
        stateOf(invitation),
      ]);
      writeLine(io.stdout, renderTable(['invitation', 'user', 'role', 'email', 'by', 'state'], rows));
    });

  withConnection(member.command('uninvite <tenant>'), 'operator')
    .argument('<invitation-id>', 'see `member invitations`', invitationId)
    .description('take an invitation back')
    .action(async (tenant: string, id: string, options: ConnectionOptions) => {
      const invitationPath = `${path(tenant)}/invitations/${id}`;
      const api = await connect(io, options, 'operator');
      const revoked = await api.request(invitationPath, invitationSchema, { method: 'DELETE' });
      if (options.json === true) return writeJson(io.stdout, revoked);
      writeLine(io.stdout, `Invitation ${revoked.invitation_id} is taken back.`);
    });

  withConnection(member.command('accept <tenant> <token>'), 'stranger')
    .description('accept an invitation; whom it names gets an API key, shown this once')
    .action(async (tenant: string, token: string, options: ConnectionOptions) => {
      const acceptPath = `${path(tenant)}/accept`;
      const api = await connectAsStranger(io, options);
      const accepted = await api.request(acceptPath, acceptedInvitationSchema, {
        method: 'POST',
        json: { token },
      });
      if (options.json === true) return writeJson(io.stdout, accepted);
      const { member: joined, api_key: key } = accepted;
      writeLine(
        io.stderr,
        `${printable(joined.user_id)} is a member of ${joined.tenant_id} now (${joined.role}).`,
      );
      if (key === null) return;
      writeLine(io.stdout, key.api_key);
      writeLine(io.stderr, 'This key is shown this once; only a hash of it is stored.');
    });
}

function stateOf({ accepted_at, accepted_by, revoked_at, expires_at }: Invitation): string {
  if (accepted_at !== null) return `accepted ${accepted_at} by ${printable(accepted_by ?? '')}`;
  if (revoked_at !== null) return `taken back ${revoked_at}`;
  return Date.parse(expires_at) <= Date.now() ? `expired ${expires_at}` : `until ${expires_at}`;
}

const UNITS: Readonly<Record<string, number>> = { m: 60, h: 3_600, d: 86_400 };

function seconds(text: string): number {
  const [, count = '', unit = ''] = /^([1-9][0-9]{0,5})([mhd])$/.exec(text) ?? [];
  const length = UNITS[unit];
  if (length === undefined) throw new InvalidArgumentError('Write a time such as 30m, 12h or 7d.');
  return Number(count) * length;
}

function invitationId(text: string): string {
  if (invitationIdSchema.safeParse(text).success) return text;
  throw new InvalidArgumentError('That is no invitation id: see `bulkhead member invitations`.');
}
