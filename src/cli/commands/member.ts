import { type Command, Option } from 'commander';
import { MEMBER_ROLES, type Member, memberPageSchema, memberSchema } from '#app/schemas/member.ts';
import { type CliIo, printable, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId, checkedUserId } from '#cli/commands/checked-tenant-id.ts';
import { addInvitationCommands } from '#cli/commands/invitation.ts';
import { readAllPages } from '#cli/commands/read-all-pages.ts';
import { type ConnectionOptions, connect, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

/** `member list|add|role|remove|invite|…`: the operator's, or with `--key` a tenant admin's for the own tenant. */
export function addMemberCommands(program: Command, io: CliIo): void {
  const member = program
    .command('member')
    .description('manage who belongs to a tenant (operator, or its admin)');
  const path = (tenant: string) => `/admin/tenants/${checkedTenantId(tenant)}/members`;
  const show = (options: ConnectionOptions, changed: Member, words: string) =>
    options.json === true
      ? writeJson(io.stdout, changed)
      : writeLine(io.stdout, `${printable(changed.user_id)} ${words}`);

  withConnection(member.command('list <tenant>'), 'operator')
    .description('list a tenant’s members, and who was removed')
    .action(async (tenant: string, options: ConnectionOptions) => {
      const listPath = path(tenant);
      const api = await connect(io, options, 'operator');
      const members = await readAllPages(api, listPath, memberPageSchema, ({ user_id }) => user_id);
      if (options.json === true) return writeJson(io.stdout, { object: 'list', data: members });
      if (members.length === 0) return writeLine(io.stdout, `Tenant ${tenant} lists no members.`);
      const rows = members.map(({ user_id, role, status, invited_by, updated_at }) => [
        user_id,
        role,
        status,
        printable(invited_by),
        updated_at,
      ]);
      writeLine(io.stdout, renderTable(['user', 'role', 'status', 'by', 'since'], rows));
    });

  withConnection(member.command('add <tenant> <user>'), 'operator')
    .description('list a user whom an issuer names already')
    .addOption(roleOption().default('member'))
    .action(async (tenant: string, user: string, options: ConnectionOptions & { role: string }) => {
      checkedUserId(user);
      const addPath = path(tenant);
      const api = await connect(io, options, 'operator');
      const added = await api.request(addPath, memberSchema, {
        method: 'POST',
        json: { user_id: user, role: options.role },
      });
      show(options, added, `is a member of ${tenant} now (${added.role}).`);
    });

  withConnection(member.command('role <tenant> <user>'), 'operator')
    .description('change a member’s role')
    .addOption(roleOption().makeOptionMandatory())
    .action(async (tenant: string, user: string, options: ConnectionOptions & { role: string }) => {
      const memberPath = `${path(tenant)}/${checkedUserId(user)}`;
      const api = await connect(io, options, 'operator');
      const changed = await api.request(memberPath, memberSchema, {
        method: 'PATCH',
        json: { role: options.role },
      });
      show(options, changed, `is ${changed.role} now.`);
    });

  withConnection(member.command('remove <tenant> <user>'), 'operator')
    .description('remove a user, listed or not: keys are revoked, tokens refused; documents stay')
    .action(async (tenant: string, user: string, options: ConnectionOptions) => {
      const memberPath = `${path(tenant)}/${checkedUserId(user)}`;
      const api = await connect(io, options, 'operator');
      const removed = await api.request(memberPath, memberSchema, { method: 'DELETE' });
      show(options, removed, `is removed from ${tenant}; no credential of theirs is taken any more.`);
    });

  addInvitationCommands(member, io);
}

/** `--role` of a member or an invitation. */
const roleOption = (): Option => new Option('--role <role>', 'what the user may be').choices(MEMBER_ROLES);
