import { type Command, Option } from 'commander';
import {
  AUDIT_ACTIONS,
  type AuditEvent,
  auditPageSchema,
  auditVerificationSchema,
} from '#app/schemas/audit-event.ts';
import { CliError } from '#cli/cli-error.ts';
import { type CliIo, printable, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId } from '#cli/commands/checked-tenant-id.ts';
import { pageLimit, positiveInteger } from '#cli/commands/positive-integer.ts';
import { type ConnectionOptions, connect, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

type AuditOptions = ConnectionOptions & {
  verify?: boolean;
  limit: number;
  action?: string;
  before?: number;
};

/** `audit [tenant]`: who did what, and what was denied; with `--verify`, whether the chain still holds. */
export function addAuditCommand(program: Command, io: CliIo): void {
  withConnection(program.command('audit [tenant]'), 'operator')
    .description('administrators’ actions and denied requests; without a tenant, those that belong to none')
    .option('--verify', 'compute the chain of hashes anew; fails where it is broken')
    .option('--limit <number>', 'newest events to show, at most 100', pageLimit, 20)
    .addOption(new Option('--action <action>', 'of this kind').choices(AUDIT_ACTIONS))
    .option('--before <seq>', 'older than the event of this number', positiveInteger)
    .action(async (tenant: string | undefined, options: AuditOptions) => {
      const of = tenant === undefined ? '' : `tenant_id=${checkedTenantId(tenant)}&`;
      const api = await connect(io, options, 'operator');
      if (options.verify === true) {
        const report = await api.request(`/admin/audit/verify?${of}`, auditVerificationSchema);
        if (options.json === true) writeJson(io.stdout, report);
        else if (report.broken === null) {
          writeLine(io.stdout, `The chain holds: ${report.events} events, head ${report.head_hash}.`);
        }
        if (report.broken === null) return;
        throw new CliError(
          `The audit of ${report.tenant_id ?? 'the operators'} is broken at event ${report.broken.seq} (${report.broken.reason}).`,
        );
      }
      const { limit, action, before } = options;
      const query = new URLSearchParams({ limit: String(limit) });
      if (action !== undefined) query.set('action', action);
      if (before !== undefined) query.set('after', String(before));
      const page = await api.request(`/admin/audit?${of}${query}`, auditPageSchema);
      if (options.json === true) return writeJson(io.stdout, page);
      const header = ['seq', 'at', 'actor', 'action', 'target', 'details'];
      writeLine(io.stdout, renderTable(header, page.data.map(rowOf)));
    });
}

const rowOf = ({ seq, at, actor, action, target, details }: AuditEvent): (string | number)[] => [
  seq,
  at,
  printable(actor),
  action,
  printable(target ?? ''),
  printable(
    Object.entries(details)
      .map(([key, value]) => `${key}=${Array.isArray(value) ? value.join(',') : value}`)
      .join(' '),
  ),
];
