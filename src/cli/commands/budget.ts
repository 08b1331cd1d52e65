import { type Command, InvalidArgumentError } from 'commander';
import { tenantSchema } from '#app/schemas/tenant.ts';
import { usageReportSchema } from '#app/schemas/usage.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId } from '#cli/commands/checked-tenant-id.ts';
import { dollars } from '#cli/commands/price.ts';
import { type ConnectionOptions, connect, withConnection } from '#cli/connection.ts';

/** `budget <tenant> [usd]`: what a tenant may spend in a month and has spent; with an amount, sets it. */
export function addBudgetCommand(program: Command, io: CliIo): void {
  withConnection(program.command('budget <tenant>'), 'operator')
    .argument('[usd]', 'dollars a month from now on, or none', amount)
    .description('what a tenant may spend in a month, and has spent; with an amount, sets it')
    .action(async (tenant: string, usd: number | null | undefined, options: ConnectionOptions) => {
      const path = `/admin/tenants/${checkedTenantId(tenant)}`;
      const api = await connect(io, options, 'operator');
      const { config } = await api.request(
        path,
        tenantSchema,
        usd === undefined ? {} : { method: 'PATCH', json: { budget_usd_per_month: usd } },
      );
      const month = startOfMonth(new Date());
      const query = new URLSearchParams({ from: month, limit: '1' });
      const { totals } = await api.request(`${path}/usage?${query}`, usageReportSchema);
      const budget = config.budget_usd_per_month;
      const spent = totals.cost_usd_estimate;
      const left = budget === null ? null : Math.max(0, budget - spent);
      if (options.json === true) {
        return writeJson(io.stdout, {
          tenant_id: tenant,
          month,
          budget_usd: budget,
          spent_usd: spent,
          left_usd: left,
        });
      }
      writeLine(
        io.stdout,
        left === null
          ? `Tenant ${tenant} has no budget. Spent since ${month}: $${money(spent)}.`
          : `Tenant ${tenant} may spend $${budget} a month. Spent since ${month}: $${money(spent)}; left: $${money(left)}.`,
      );
      const { retention_days: days } = config;
      if (days !== null && Date.now() - Date.parse(month) > days * DAY_MS) {
        writeLine(
          io.stdout,
          `Usage of this month that is older than ${days} days is deleted, and counts all the same.`,
        );
      }
    });
}

function amount(text: string): number | null {
  if (text === 'none') return null;
  try {
    return dollars(text);
  } catch {
    throw new InvalidArgumentError('Write dollars such as 0.15 or 20, or none.');
  }
}

const DAY_MS = 86_400_000;

/** Months are those of UTC, as the ledger's are. */
const startOfMonth = (now: Date): string =>
  new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth())).toISOString();

/** To the millionth: a turn may cost less than a cent. */
const money = (usd: number): string => String(Math.round(usd * 1e6) / 1e6);
