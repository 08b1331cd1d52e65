import type { Command } from 'commander';
import { tenantUsageSchema, type UsageTotals, usageReportSchema } from '#app/schemas/usage.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { readAllPages } from '#cli/commands/read-all-pages.ts';
import { connect, type TenantConnectionOptions, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

const HEADER = ['requests', 'refused', 'errors', 'prompt tokens', 'completion tokens', 'cost, $'];

const totalsRow = (totals: UsageTotals): (string | number)[] => [
  totals.requests,
  totals.refused,
  totals.errors,
  totals.token_usage.prompt_tokens,
  totals.token_usage.completion_tokens,
  totals.cost_usd_estimate,
];

/** `usage`: the key's own requests, tokens and cost; with `--all-tenants`, the operator's view. */
export function addUsageCommand(program: Command, io: CliIo): void {
  withConnection(program.command('usage'), 'tenant')
    .description('requests, tokens and cost')
    .option('--all-tenants', 'totals of every tenant (operator)')
    .action(async (options: TenantConnectionOptions & { allTenants?: boolean }) => {
      if (options.allTenants === true) {
        const api = await connect(io, options, 'operator');
        const usage = await readAllPages(api, '/admin/usage', tenantUsageSchema, (t) => t.tenant_id);
        if (options.json === true) return writeJson(io.stdout, { object: 'list', data: usage });
        const rows = usage.map((totals) => [totals.tenant_id, ...totalsRow(totals)]);
        return writeLine(io.stdout, renderTable(['tenant', ...HEADER], rows));
      }
      const api = await connect(io, options, 'member');
      const report = await api.request('/v1/usage', usageReportSchema);
      if (options.json === true) return writeJson(io.stdout, report);
      const rows = [
        ...report.by_route.map((totals) => [totals.route, ...totalsRow(totals)]),
        ['all', ...totalsRow(report.totals)],
      ];
      writeLine(io.stdout, renderTable(['route', ...HEADER], rows));
    });
}
