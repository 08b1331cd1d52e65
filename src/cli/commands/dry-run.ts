import type { Command } from 'commander';
import { policyDryRunSchema } from '#app/schemas/policy-dry-run.ts';
import { type CliIo, printable, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId } from '#cli/commands/checked-tenant-id.ts';
import { checkedTime } from '#cli/commands/checked-time.ts';
import { interruptible } from '#cli/commands/interruptible.ts';
import { positiveInteger } from '#cli/commands/positive-integer.ts';
import { readTenantPatch } from '#cli/commands/tenant-patch.ts';
import { type ConnectionOptions, connect, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

type DryRunOptions = ConnectionOptions & { file?: string; from?: string; to?: string; limit?: number };

/** `tenant dry-run`: what a change of the policy would have done to recent requests. */
export function addDryRunCommand(tenant: Command, io: CliIo): void {
  withConnection(tenant.command('dry-run <tenant> [settings...]'), 'operator')
    .description('what a change of the policy would have done to recent requests; nothing is changed')
    .option('--file <file>', 'JSON of the parts to change')
    .option('--from <time>', 'requests not before this time', checkedTime)
    .option('--to <time>', 'requests before this time', checkedTime)
    .option('--limit <number>', 'newest requests to look at (default: 1000)', positiveInteger)
    .addHelpText('after', '\nSettings are as in `tenant set`.')
    .action(async (id: string, settings: string[], options: DryRunOptions) => {
      const { file, from, to, limit } = options;
      const json = {
        tenant_id: checkedTenantId(id),
        config: await readTenantPatch(settings, file),
        ...(from === undefined ? {} : { from }),
        ...(to === undefined ? {} : { to }),
        ...(limit === undefined ? {} : { limit }),
      };
      const api = await connect(io, options, 'operator');
      const report = await interruptible(io, (signal) =>
        api.request('/admin/policy/dry-run', policyDryRunSchema, { method: 'POST', json, signal }),
      );
      if (options.json === true) return writeJson(io.stdout, report);
      writeLine(
        io.stdout,
        `Of ${report.requests} requests ${report.newly_refused} would newly be refused, ${report.newly_allowed} ` +
          `newly let through; of ${report.undecidable} it cannot be said.`,
      );
      if (report.truncated) writeLine(io.stdout, 'There are older requests that were not looked at.');
      if (report.not_replayed.length > 0) {
        writeLine(io.stdout, `A replay says nothing of: ${report.not_replayed.join(', ')}.`);
      }
      if (report.by_rule.length === 0) return;
      const rows = report.by_rule.map(({ change, rule, requests, sample_request_ids }) => [
        change.replaceAll('_', ' '),
        printable(rule),
        requests,
        sample_request_ids[0] ?? '',
      ]);
      writeLine(io.stdout, renderTable(['change', 'rule', 'requests', 'for example'], rows));
    });
}
