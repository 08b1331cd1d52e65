import { resolve } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { tenantPageSchema, tenantSchema } from '#app/schemas/tenant.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId } from '#cli/commands/checked-tenant-id.ts';
import { addConfigVersionCommands } from '#cli/commands/config-versions.ts';
import { addDryRunCommand } from '#cli/commands/dry-run.ts';
import { interruptible } from '#cli/commands/interruptible.ts';
import { readAllPages } from '#cli/commands/read-all-pages.ts';
import { saveExport } from '#cli/commands/save-export.ts';
import { checkedPatch, readTenantPatch } from '#cli/commands/tenant-patch.ts';
import { type ConnectionOptions, connect, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

/** `tenant create|list|show|set|history|restore|dry-run|export|erase`: the operator's, mostly the tenant admin's too. */
export function addTenantCommands(program: Command, io: CliIo): void {
  const tenant = program
    .command('tenant')
    .description('manage tenants (operator, or the tenant’s admin for the own)');

  withConnection(tenant.command('create <tenant>'), 'operator')
    .description('create a tenant')
    .option('--name <name>', 'display name (default: the id)')
    .argument('[settings...]', 'policy, as in `tenant set`: rate_limits.requests_per_minute=60')
    .action(async (id: string, settings: string[], options: ConnectionOptions & { name?: string }) => {
      const tenantId = checkedTenantId(id);
      const api = await connect(io, options, 'operator');
      const created = await api.request('/admin/tenants', tenantSchema, {
        method: 'POST',
        json: { ...checkedPatch(settings), tenant_id: tenantId, display_name: options.name ?? tenantId },
      });
      if (options.json === true) return writeJson(io.stdout, created);
      writeLine(io.stdout, `Created tenant ${created.tenant_id}.`);
      writeLine(io.stdout, `Next, a key: npx bulkhead key create ${created.tenant_id} --user <user>`);
    });

  withConnection(tenant.command('list'), 'operator')
    .description('list the tenants')
    .action(async (options: ConnectionOptions) => {
      const api = await connect(io, options, 'operator');
      const tenants = await readAllPages(api, '/admin/tenants', tenantPageSchema, (t) => t.tenant_id);
      if (options.json === true) return writeJson(io.stdout, { object: 'list', data: tenants });
      const rows = tenants.map(({ tenant_id, version, config }) => [
        tenant_id,
        config.display_name,
        config.enabled ? 'yes' : 'no',
        config.rate_limits.requests_per_minute ?? 'none',
        config.allowed_routes.join(','),
        version,
      ]);
      writeLine(
        io.stdout,
        renderTable(['tenant', 'name', 'enabled', 'per minute', 'routes', 'version'], rows),
      );
    });

  withConnection(tenant.command('show <tenant>'), 'operator')
    .description('show a tenant’s whole policy')
    .action(async (id: string, options: ConnectionOptions) => {
      const api = await connect(io, options, 'operator');
      const found = await api.request(`/admin/tenants/${checkedTenantId(id)}`, tenantSchema);
      writeLine(io.stdout, JSON.stringify(found, null, 2));
    });

  withConnection(tenant.command('export <tenant>'), 'operator')
    .description('everything of a tenant, as an archive: rows, documents, checksums')
    .requiredOption('-o, --output <file>', 'where to; an existing file is never overwritten')
    .action(async (id: string, options: ConnectionOptions & { output: string }) => {
      const tenantId = checkedTenantId(id);
      const api = await connect(io, options, 'operator');
      const bytes = await interruptible(io, (signal) =>
        saveExport(api, tenantId, resolve(io.cwd, options.output), signal),
      );
      if (options.json === true)
        return writeJson(io.stdout, { tenant_id: tenantId, file: options.output, bytes });
      writeLine(io.stdout, `Wrote ${bytes} bytes to ${options.output}.`);
    });

  withConnection(tenant.command('set <tenant> [settings...]'), 'operator')
    .description('change a tenant’s policy; what is not named stays')
    .option('--file <file>', 'JSON of the parts to change')
    .addHelpText(
      'after',
      `
Settings are path=value; a value is JSON where it parses as JSON, and text otherwise. Lists are replaced whole.
  npx bulkhead tenant set acme rate_limits.requests_per_minute=60 'allowed_routes=["chat","rag"]'
  npx bulkhead tenant set acme enabled=false
  npx bulkhead tenant set acme 'sensitive_patterns=[{"name":"card","pattern":"\\\\b(?:\\\\d[ -]?){15,16}\\\\b"}]'`,
    )
    .action(async (id: string, settings: string[], options: ConnectionOptions & { file?: string }) => {
      const tenantId = checkedTenantId(id);
      const patch = await readTenantPatch(settings, options.file);
      const api = await connect(io, options, 'operator');
      const changed = await api.request(`/admin/tenants/${tenantId}`, tenantSchema, {
        method: 'PATCH',
        json: patch,
      });
      if (options.json === true) return writeJson(io.stdout, changed);
      writeLine(io.stdout, `Tenant ${changed.tenant_id} is at version ${changed.version} now.`);
    });

  addConfigVersionCommands(tenant, io);
  addDryRunCommand(tenant, io);

  withConnection(tenant.command('erase <tenant>'), 'operator')
    .description('erase a tenant and everything of it; there is no way back')
    .requiredOption('--confirm <tenant>', 'the tenant’s id again')
    .action(async (id: string, options: ConnectionOptions & { confirm: string }) => {
      const tenantId = checkedTenantId(id);
      if (options.confirm !== tenantId) {
        throw new CliError(`--confirm ${options.confirm}: it must be ${tenantId}, the tenant’s id again.`, {
          exitCode: EXIT.usage,
        });
      }
      const api = await connect(io, options, 'operator');
      const erased = await interruptible(io, (signal) =>
        api.request(`/admin/tenants/${tenantId}`, erasedSchema, {
          method: 'DELETE',
          json: { confirm: tenantId },
          signal,
        }),
      );
      if (options.json === true) return writeJson(io.stdout, erased);
      writeLine(io.stdout, `Tenant ${erased.tenant_id} is erased. Its id is not given out again.`);
    });
}

const erasedSchema = z.object({ tenant_id: z.string(), status: z.literal('erased') });
