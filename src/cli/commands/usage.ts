import type { Command } from 'commander';
import { tenantUsageSchema, type UsageTotals, usageReportSchema } from '#app/schemas/usage.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId } from '#cli/commands/checked-tenant-id.ts';
import { checkedTime } from '#cli/commands/checked-time.ts';
import { readAllPages } from '#cli/commands/read-all-pages.ts';
import { connect, type TenantConnectionOptions, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

type UsageOptions = TenantConnectionOptions & {
  allTenants?: boolean;
  of?: string;
  user?: string;
  route?: string;
  from?: string;
  to?: string;
};

const HEADER = [
  'requests',
  'refused',
  'errors',
  'prompt tokens',
  'completion tokens',
  'estimated',
  'cost, $',
];

const totalsRow = (totals: UsageTotals): (string | number)[] => [
  totals.requests,
  totals.refused,
  totals.errors,
  totals.token_usage.prompt_tokens,
  totals.token_usage.completion_tokens,
  totals.estimated_prompt_tokens,
  totals.cost_usd_estimate,
];

/** `usage`: the key's own requests, tokens and cost; a whole tenant's; with `--all-tenants`, the operator's view. */
export function addUsageCommand(program: Command, io: CliIo): void {
  withConnection(program.command('usage'), 'tenant')
    .description('requests, tokens and cost: the key’s user’s, or a whole tenant’s')
    .option('--of <tenant>', 'of everybody of this tenant (operator, or the tenant’s admin with --key)')
    .option('--all-tenants', 'totals of every tenant (operator)')
    .option('--user <user>', 'of this user; with --of')
    .option('--route <route>', 'such as rag, chat, vault')
    .option('--from <time>', 'not before this time, such as 2026-01-31T08:00:00Z', checkedTime)
    .option('--to <time>', 'before this time', checkedTime)
    .action(async (options: UsageOptions) => {
      const { of, user, route, from, to } = options;
      if (options.allTenants === true && of !== undefined) {
        throw new CliError('Give --of or --all-tenants, not both.', { exitCode: EXIT.usage });
      }
      if (user !== undefined && of === undefined) {
        throw new CliError('--user goes with --of: other users’ usage is the admin’s to see.', {
          exitCode: EXIT.usage,
        });
      }
      const query = queryOf({ user_id: user, route, from, to });
      if (options.allTenants === true) {
        const api = await connect(io, options, 'operator');
        const usage = await readAllPages(api, `/admin/usage${query}`, tenantUsageSchema, (t) => t.tenant_id);
        if (options.json === true) return writeJson(io.stdout, { object: 'list', data: usage });
        const rows = usage.map((totals) => [totals.tenant_id, ...totalsRow(totals)]);
        return writeLine(io.stdout, renderTable(['tenant', ...HEADER], rows));
      }
      const path = of === undefined ? '/v1/usage' : `/admin/tenants/${checkedTenantId(of)}/usage`;
      const api = await connect(io, options, of === undefined ? 'member' : 'operator');
      const report = await api.request(`${path}${query}`, usageReportSchema);
      if (options.json === true) return writeJson(io.stdout, report);
      const rows = [
        ...report.by_route.map((totals) => [totals.route, ...totalsRow(totals)]),
        ['all', ...totalsRow(report.totals)],
      ];
      writeLine(io.stdout, renderTable(['route', ...HEADER], rows));
    });
}

/** With its question mark; empty where nothing is named. */
function queryOf(named: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(named)) if (value !== undefined) query.set(name, value);
  return query.size === 0 ? '' : `?${query}`;
}
