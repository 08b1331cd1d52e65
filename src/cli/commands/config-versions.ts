import type { Command } from 'commander';
import { configVersionPageSchema, storedConfigVersionSchema } from '#app/schemas/config-version.ts';
import { tenantSchema } from '#app/schemas/tenant.ts';
import { type CliIo, printable, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId } from '#cli/commands/checked-tenant-id.ts';
import { pageLimit, positiveInteger } from '#cli/commands/positive-integer.ts';
import { type ConnectionOptions, connect, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

/** `tenant history|restore`: the versions that a tenant's policy has had. */
export function addConfigVersionCommands(tenant: Command, io: CliIo): void {
  withConnection(tenant.command('history <tenant>'), 'operator')
    .description('the versions of a tenant’s policy, newest first; with --at, one of them whole')
    .option('--at <version>', 'show this version', positiveInteger)
    .option('--limit <number>', 'newest versions to list, at most 100', pageLimit, 20)
    .action(async (id: string, options: ConnectionOptions & { at?: number; limit: number }) => {
      const path = `/admin/tenants/${checkedTenantId(id)}/config/versions`;
      const api = await connect(io, options, 'operator');
      if (options.at !== undefined) {
        const stored = await api.request(`${path}/${options.at}`, storedConfigVersionSchema);
        return writeLine(io.stdout, JSON.stringify(stored, null, 2));
      }
      const page = await api.request(`${path}?limit=${options.limit}`, configVersionPageSchema);
      if (options.json === true) return writeJson(io.stdout, page);
      const rows = page.data.map(({ version, created_at, author }) => [
        version,
        created_at,
        printable(author),
      ]);
      writeLine(io.stdout, renderTable(['version', 'at', 'by'], rows));
    });

  withConnection(tenant.command('restore <tenant>'), 'operator')
    .argument('<version>', 'see `tenant history`', positiveInteger)
    .description('make an earlier version of the policy the newest one; nothing of the history is lost')
    .option('--from <version>', 'only if the policy is at this version now', positiveInteger)
    .action(async (id: string, version: number, options: ConnectionOptions & { from?: number }) => {
      const path = `/admin/tenants/${checkedTenantId(id)}/config/versions/${version}/restore`;
      const api = await connect(io, options, 'operator');
      const restored = await api.request(path, tenantSchema, {
        method: 'POST',
        ...(options.from === undefined ? {} : { headers: { 'if-match': `"${options.from}"` } }),
      });
      if (options.json === true) return writeJson(io.stdout, restored);
      writeLine(
        io.stdout,
        `Tenant ${restored.tenant_id} is at version ${restored.version} now, as version ${version} was.`,
      );
    });
}
