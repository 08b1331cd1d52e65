import { type Command, Option } from 'commander';
import {
  type RequestLogEntry,
  requestLogDetailSchema,
  requestLogPageSchema,
} from '#app/schemas/request-log.ts';
import { usageOutcomeSchema } from '#app/schemas/usage.ts';
import { type CliIo, printable, writeJson, writeLine } from '#cli/cli-io.ts';
import { checkedTenantId } from '#cli/commands/checked-tenant-id.ts';
import { checkedTime } from '#cli/commands/checked-time.ts';
import { pageLimit } from '#cli/commands/positive-integer.ts';
import { type ConnectionOptions, connect, withConnection } from '#cli/connection.ts';
import { renderTable } from '#cli/output/table.ts';

type RequestsOptions = ConnectionOptions & {
  limit: number;
  before?: string;
  from?: string;
  to?: string;
  outcome?: string;
  user?: string;
  route?: string;
  model?: string;
  refusal?: string;
};

/** `requests <tenant> [request]`: what became of a tenant's requests, and why. */
export function addRequestsCommand(program: Command, io: CliIo): void {
  withConnection(program.command('requests <tenant> [request]'), 'operator')
    .description('a tenant’s request log; with a request’s id, everything about that one')
    .option('--from <time>', 'not before this time, such as 2026-01-31T08:00:00Z', checkedTime)
    .option('--to <time>', 'before this time', checkedTime)
    .addOption(new Option('--outcome <outcome>', 'what became of them').choices(usageOutcomeSchema.options))
    .option('--user <user>', 'of this user')
    .option('--route <route>', 'such as rag, chat, vault')
    .option('--model <model>', 'answered by this model')
    .option('--refusal <reason>', 'refused for this reason, such as rate_limit_exceeded')
    .option('--limit <number>', 'newest requests to show, at most 100', pageLimit, 20)
    .option('--before <request>', 'older than this request')
    .action(async (tenant: string, request: string | undefined, options: RequestsOptions) => {
      const path = `/admin/tenants/${checkedTenantId(tenant)}/requests`;
      const api = await connect(io, options, 'operator');
      if (request !== undefined) {
        const found = await api.request(`${path}/${encodeURIComponent(request)}`, requestLogDetailSchema);
        return writeJson(io.stdout, found);
      }
      const page = await api.request(`${path}?${queryOf(options)}`, requestLogPageSchema);
      if (options.json === true) return writeJson(io.stdout, page);
      const header = ['at', 'request', 'user', 'route', 'model', 'status', 'ms', 'outcome', 'why'];
      writeLine(io.stdout, renderTable(header, page.data.map(rowOf)));
    });
}

function queryOf({ limit, before, from, to, outcome, user, route, model, refusal }: RequestsOptions): string {
  const query = new URLSearchParams({ limit: String(limit) });
  const named = { after: before, from, to, outcome, user_id: user, route, model, refusal_reason: refusal };
  for (const [name, value] of Object.entries(named)) if (value !== undefined) query.set(name, value);
  return query.toString();
}

const rowOf = (entry: RequestLogEntry): (string | number)[] => [
  entry.created_at,
  entry.request_id,
  printable(entry.user_id),
  entry.route,
  printable(entry.model ?? ''),
  entry.status,
  Math.round(entry.latency_ms),
  entry.outcome,
  printable(
    [entry.refusal_reason ?? entry.decision.error_code, entry.decision.policy.rule]
      .filter((part) => part !== null)
      .join(' '),
  ),
];
